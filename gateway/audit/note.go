package audit

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// Note records a refusal without waiting: it never blocks and never fails, for a
// refused request must cost less than the refusal. The first of a kind is written at
// once; repeats of the same class, action, Detail["reason"], Detail["stage"], actor,
// Detail["account"] and address (IPv6: /64) within the window become one record with
// their number and the path of the first. The window of a kind that goes on grows to ten
// minutes; what a stage "report" would stop has one of an hour. When strangers, or one
// person, are refused in more ways than can be told apart, addresses and accounts are
// folded together too, people never. What cannot be queued is dropped, counted
// ([Log.Dropped]) and the number recorded as soon as possible.
func (l *Log) Note(id policy.PracticeID, e Event) {
	now := l.now()
	if !e.Class.Known() || e.Action == "" {
		l.stats.dropped.Add(1)
		return
	}
	outcome, old := l.folds.add(keyOf(id, e), e, now, l.opts.Window)
	l.release(old)
	switch outcome {
	case foldRepeat:
		l.stats.folded.Add(1)
	case foldNew:
		if clean, err := e.clean(); err == nil {
			l.enqueue(id, &job{stamped: stamped{clean, now}, kind: jobNote, lost: 1})
		}
		l.mu.Lock()
		l.keep()
		l.mu.Unlock()
	case foldFull:
		l.drop(id, 1)
	}
}

// Dropped is the number of refusals that could not be recorded.
func (l *Log) Dropped() int64 { return l.stats.dropped.Load() }

// enqueue hands a job to the practice's writer if there is room, and counts it as
// dropped otherwise.
func (l *Log) enqueue(id policy.PracticeID, j *job) {
	w := l.acquire(id)
	if w == nil {
		l.stats.dropped.Add(1)
		return
	}
	defer w.letGo()
	room, roomInAll := noteQueue, int64(maxNotes)
	if j.Actor == "" { // the last quarter is for people: strangers cannot take it all
		room, roomInAll = noteQueue*3/4, maxNotes*3/4
	}
	if l.folds.waiting.Add(1) > roomInAll || len(w.notes) >= room {
		l.folds.waiting.Add(-1)
		l.dropJob(id, j)
		return
	}
	select {
	case w.notes <- j:
		w.start()
	default:
		l.folds.waiting.Add(-1)
		l.dropJob(id, j)
	}
}

// release queues the summaries of windows that have ended. Those from one budget go
// together, so that there is room for a whole clinic's when they end at once.
func (l *Log) release(ended []*fold) {
	type budget struct {
		id     policy.PracticeID
		person bool
	}
	groups := make(map[budget][]*fold)
	for _, f := range ended {
		b := budget{f.key.id, f.key.actor != ""}
		groups[b] = append(groups[b], f)
	}
	for b, group := range groups {
		for part := range slices.Chunk(group, summariesPerJob) {
			j := &job{stamped: part[0].summary(), kind: jobNote, lost: part[0].repeats}
			for _, f := range part[1:] {
				j.more = append(j.more, f.summary())
				j.lost += f.repeats
			}
			l.enqueue(b.id, j)
		}
	}
}

// barrier waits until the refusals queued so far are written.
func (l *Log) barrier(ctx context.Context) error {
	l.mu.Lock()
	ids := make([]policy.PracticeID, 0, len(l.writers))
	for id := range l.writers {
		ids = append(ids, id)
	}
	l.mu.Unlock()
	var errs []error
	for _, id := range ids {
		errs = append(errs, l.barrierOne(ctx, id))
	}
	return errors.Join(errs...)
}

func (l *Log) barrierOne(ctx context.Context, id policy.PracticeID) error {
	w := l.acquire(id)
	if w == nil {
		return ErrClosed
	}
	defer w.letGo()
	j := &job{kind: jobBarrier, done: make(chan error, 1)}
	l.folds.waiting.Add(1)
	select {
	case w.notes <- j:
	case <-ctx.Done():
		l.folds.waiting.Add(-1)
		return unavailable("waiting for the audit log", ctx.Err())
	}
	w.start()
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		return unavailable("waiting for the audit log", ctx.Err())
	}
}

// lose counts the refusals of a batch that could not be written. Those of a practice
// that does not exist are counted only: there is no log to tell it to.
func (l *Log) lose(id policy.PracticeID, batch []*job, err error) {
	for _, j := range batch {
		switch {
		case j.kind != jobNote && j.kind != jobDrops:
		case errors.Is(err, database.ErrMissing):
			if j.kind == jobNote {
				l.stats.dropped.Add(j.lost)
			}
		default:
			l.dropJob(id, j)
		}
	}
}

func (l *Log) dropJob(id policy.PracticeID, j *job) {
	if j.kind == jobDrops {
		l.owe(id, j.lost)
		return
	}
	l.drop(id, j.lost)
}

// drop counts n refusals that were not recorded, and owes the practice a record of it.
func (l *Log) drop(id policy.PracticeID, n int64) {
	l.stats.dropped.Add(n)
	l.owe(id, n)
}

func (l *Log) owe(id policy.PracticeID, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drops[id] += n
	l.keep()
}

// noteDrops queues, for each practice that refusals were dropped of, a record with
// their number. A record that cannot be written is owed again.
func (l *Log) noteDrops() {
	l.mu.Lock()
	owed := l.drops
	l.drops = make(map[policy.PracticeID]int64)
	l.mu.Unlock()
	for id, n := range owed {
		e := Event{Class: System, Action: "refusals_dropped", Actor: "gateway", Detail: map[string]string{"count": strconv.FormatInt(n, 10)}}
		l.enqueue(id, &job{stamped: stamped{e, l.now()}, kind: jobDrops, lost: n})
	}
}
