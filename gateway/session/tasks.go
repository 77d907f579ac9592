package session

import (
	"context"
	"errors"
	"sync"

	"clinicgate/gateway/database"
)

// task is something that changed elsewhere and is to be read again. Requests do
// not wait for it: they find their session marked as stale and read it themselves.
// The task is for what nobody asks about, above all for open streams.
type task struct {
	cell *cell
	kind taskKind
	ref  string
}

type taskKind int8

const (
	taskPractice taskKind = iota
	taskPerson
	taskSession
)

const (
	taskWorkers = 4
	maxTasks    = 16384 // beyond that, one for the whole practice takes their place
)

// tasks is a queue without duplicates. What fails is tried again at the next tick.
type tasks struct {
	mu     sync.Mutex
	set    map[task]struct{} // queued
	queue  []task
	failed map[task]struct{}
	wake   chan struct{}
}

func (t *tasks) init() {
	t.set = make(map[task]struct{})
	t.failed = make(map[task]struct{})
	t.wake = make(chan struct{}, 1)
}

func (t *tasks) add(job task) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.push(job)
}

func (t *tasks) push(job task) {
	if len(t.set) >= maxTasks {
		job = task{cell: job.cell, kind: taskPractice}
	}
	if _, queued := t.set[job]; queued {
		return
	}
	t.set[job] = struct{}{}
	t.queue = append(t.queue, job)
	t.signal()
}

func (t *tasks) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// take leaves the set before the work begins, so that a change which comes during
// it is queued again.
func (t *tasks) take() (job task, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		t.queue = nil
		return task{}, false
	}
	job = t.queue[0]
	t.queue = t.queue[1:]
	delete(t.set, job)
	if len(t.queue) > 0 {
		t.signal() // another worker may help
	}
	return job, true
}

func (t *tasks) later(job task) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.failed) >= maxTasks {
		job = task{cell: job.cell, kind: taskPractice}
	}
	t.failed[job] = struct{}{}
}

func (t *tasks) retry() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for job := range t.failed {
		t.push(job)
	}
	clear(t.failed)
}

// work is one of Run's workers.
func (m *Manager) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.tasks.wake:
		}
		m.catchUp(ctx)
	}
}

// catchUp does what is queued.
func (m *Manager) catchUp(ctx context.Context) {
	for ctx.Err() == nil {
		job, ok := m.tasks.take()
		if !ok {
			return
		}
		if err := m.do(ctx, job); err != nil {
			m.tasks.later(job)
		}
	}
}

func (m *Manager) do(ctx context.Context, job task) error {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	var err error
	switch job.kind {
	case taskPerson:
		err = m.verifyPerson(ctx, job.cell, job.ref)
	case taskSession:
		err = m.verifySession(ctx, job.cell, job.ref)
	default:
		err = m.verifyPractice(ctx, job.cell)
	}
	if errors.Is(err, database.ErrMissing) { // removed: there is nothing to try again for
		return m.verifyPractice(ctx, job.cell)
	}
	return err
}
