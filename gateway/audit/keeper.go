package audit

import (
	"context"
	"maps"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// copyJob is a head on its way to the registry.
type copyJob struct {
	generation int64
	head       point
	replace    string // a forged copy that gives way whatever its size; the chain has a record of it
}

// copiesPerTx bounds one transaction on the registry, which others write to as well.
const copiesPerTx = 256

// wantCopy asks the keeper to copy a head to the registry.
func (l *Log) wantCopy(id policy.PracticeID, job copyJob) {
	l.mu.Lock()
	defer l.mu.Unlock()
	want := l.dirty[id]
	switch {
	case job.generation > want.generation:
		want = job
	case job.generation < want.generation:
		return
	}
	if job.replace != "" {
		want.replace = job.replace
	}
	if job.head.seq > want.head.seq {
		want.head = job.head
	}
	l.dirty[id] = want
	l.keep()
}

// keep starts the keeper if it does not run. The caller holds mu.
func (l *Log) keep() {
	if l.keeping || l.closed {
		return
	}
	l.keeping = true
	l.keepers.Add(1)
	go l.runKeeper()
}

// runKeeper works until nothing is left to copy or to unfold.
func (l *Log) runKeeper() {
	defer l.keepers.Done()
	tick := time.NewTicker(keeperPeriod)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.ctx.Done():
			return
		}
		ctx, cancel := context.WithTimeout(l.ctx, writeTimeout)
		if err := l.publish(ctx); err != nil {
			l.uncopied(err)
		}
		cancel()
		l.release(l.folds.due(l.now()))
		l.noteDrops()
		if l.keeperDone() {
			return
		}
	}
}

// uncopied raises the alarm: records go on being written, but as long as the registry
// has no copy of their heads, an older copy of a practice's file would pass.
func (l *Log) uncopied(err error) {
	now := l.now()
	l.stats.fail(now, 0)
	l.stats.uncopied.Add(1)
	last := l.stats.alarmed.Load()
	if now.Sub(time.UnixMicro(last)) >= alarmPeriod && l.stats.alarmed.CompareAndSwap(last, now.UnixMicro()) {
		l.opts.Alarm("audit heads could not be copied to the registry", "reason", err)
	}
}

func (l *Log) keeperDone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.dirty)+len(l.drops) > 0 || l.folds.len() > 0 {
		return false
	}
	l.keeping = false
	return true
}

// publish copies the heads that the registry does not have yet. What fails stays wanted.
// One at a time, so that whoever returns knows that nothing is under way.
func (l *Log) publish(ctx context.Context) error {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	for {
		jobs := l.takeDirty(copiesPerTx)
		if len(jobs) == 0 {
			return nil
		}
		err := l.db.Registry().Write(ctx, func(tx *database.Tx) error {
			for id, job := range jobs {
				if err := writeCopy(ctx, tx, id, job); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			l.putDirty(jobs)
			return unavailable("copying audit checkpoints to the registry", err)
		}
	}
}

// writeCopy never replaces a copy by an older one: another process may have been faster,
// and a practice whose file was rolled back must not take its witness along. A later
// generation's replaces any of an earlier one, and never the other way round.
func writeCopy(ctx context.Context, tx *database.Tx, id policy.PracticeID, job copyJob) error {
	_, err := tx.Exec(ctx, `INSERT INTO audit_head (practice, generation, size, note) VALUES ($1, $2, $3, $4)
		ON CONFLICT (practice) DO UPDATE SET generation = excluded.generation, size = excluded.size, note = excluded.note
		WHERE audit_head.generation < excluded.generation OR audit_head.generation = excluded.generation
			AND (audit_head.size < excluded.size OR audit_head.note = $5)`,
		string(id), job.generation, job.head.seq, job.head.text, job.replace)
	return err
}

// readCopy returns the registry's copy of the practice's head, or "", and which
// generation of the practice it is of.
func (l *Log) readCopy(ctx context.Context, id policy.PracticeID) (generation int64, text string, err error) {
	err = l.db.Registry().Read(ctx, func(tx *database.Tx) (err error) {
		if text, err = readNote(ctx, tx, "audit_head", id); text == "" || err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT generation FROM audit_head WHERE practice = $1`, string(id)).Scan(&generation)
	})
	if err != nil {
		return 0, "", unavailable("reading the registry's audit checkpoint", err)
	}
	return generation, text, nil
}

// Forget drops what this process remembers of a practice's log and has not written yet
// of refusals. It is for a practice that was removed: what begins anew under its id must
// not be told of them. The copy in the registry stays, as evidence about the file that was
// put aside, until the next generation's first one takes its place.
func (l *Log) Forget(id policy.PracticeID) {
	l.folds.forget(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.heads, id)
	delete(l.drops, id)
}

func (l *Log) takeDirty(n int) map[policy.PracticeID]copyJob {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.dirty) <= n {
		jobs := l.dirty
		l.dirty = make(map[policy.PracticeID]copyJob)
		return jobs
	}
	jobs := make(map[policy.PracticeID]copyJob, n)
	for id, job := range l.dirty {
		if len(jobs) == n {
			break
		}
		jobs[id] = job
	}
	maps.DeleteFunc(l.dirty, func(id policy.PracticeID, _ copyJob) bool { _, in := jobs[id]; return in })
	return jobs
}

func (l *Log) putDirty(jobs map[policy.PracticeID]copyJob) {
	for id, job := range jobs {
		l.wantCopy(id, job)
	}
}
