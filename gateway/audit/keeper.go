package audit

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// copyJob is a head on its way to the registry.
type copyJob struct {
	head    point
	replace string // a forged copy that gives way whatever its size; the chain has a record of it
}

// copiesPerTx bounds one transaction on the registry, which others write to as well.
const copiesPerTx = 256

// wantCopy asks the keeper to copy a head to the registry.
func (l *Log) wantCopy(id policy.PracticeID, head point, replace string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	want := l.dirty[id]
	if replace != "" {
		want.replace = replace
	}
	if head.seq > want.head.seq {
		want.head = head
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
			l.stats.fail(l.now(), 0)
		}
		cancel()
		l.release(l.folds.due(l.now()))
		l.noteDrops()
		if l.keeperDone() {
			return
		}
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
// and a practice whose file was rolled back must not take its witness along.
func writeCopy(ctx context.Context, tx *database.Tx, id policy.PracticeID, job copyJob) error {
	_, err := tx.Exec(ctx, `INSERT INTO audit_head (practice, size, note) VALUES ($1, $2, $3)
		ON CONFLICT (practice) DO UPDATE SET size = excluded.size, note = excluded.note
		WHERE audit_head.size < excluded.size OR audit_head.note = $4`,
		string(id), job.head.seq, job.head.text, job.replace)
	return err
}

// readCopy returns the registry's copy of the practice's head, or "".
func (l *Log) readCopy(ctx context.Context, id policy.PracticeID) (text string, err error) {
	err = l.db.Registry().Read(ctx, func(tx *database.Tx) error {
		text, err = readNote(ctx, tx, "audit_head", id)
		return err
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", unavailable("reading the registry's audit checkpoint", err)
	}
	return text, nil
}

// Forget removes what the registry and this process know of a practice's log. It is
// for a practice that was removed on purpose: afterwards a new practice of the same
// name begins a new chain.
func (l *Log) Forget(ctx context.Context, id policy.PracticeID) error {
	err := l.db.Registry().Write(ctx, func(tx *database.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM audit_head WHERE practice = $1`, string(id))
		return err
	})
	if err != nil {
		return unavailable("forgetting an audit checkpoint", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.heads, id)
	delete(l.dirty, id)
	delete(l.drops, id)
	return nil
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
		l.wantCopy(id, job.head, job.replace)
	}
}
