package session

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"clinicgate/gateway/bus"
	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// Options of a Manager. DB, Feed, People and Keys are required.
type Options struct {
	DB     *database.Set
	Feed   Feed
	People PersonSource

	// Keys returns the key that marks a practice's tokens: at least 32 bytes, its own,
	// on every node and for good the same. It is asked where a token is made or is not
	// in memory, so it should have its answer in memory.
	Keys func(context.Context, policy.PracticeID) ([]byte, error)

	// Practices lists the practices whose expired sessions are to be deleted. nil:
	// those that this node has served.
	Practices func() []Practice

	Now       func() time.Time // nil: time.Now
	MaxCached int              // sessions kept in memory; 0: 1,000,000
}

const (
	defaultCached = 1_000_000
	flushEvery    = 15 * time.Second
	sweepEvery    = time.Minute
	tickEvery     = time.Second
	loadTimeout   = 5 * time.Second
	overlap       = 10 * time.Second // how long a replaced token still opens the session
	maxPerUser    = 1000             // sessions of one person where the policy sets no limit

	// freshFloor is the least outage grace: news of revocations takes up to a
	// second on its way (DESIGN section 9), so no node can know better than that.
	freshFloor = time.Second
)

// Manager makes, finds and ends the sessions of all practices. Make it with New
// and let Run work beside it: without Run nothing that a person does is written
// down, and other nodes' changes act only at the next look-up.
type Manager struct {
	store     store
	feed      Feed
	people    PersonSource
	keys      func(context.Context, policy.PracticeID) ([]byte, error)
	practices func() []Practice
	now       func() time.Time
	cache     *cache
	streams   *Streams
	cells     sync.Map // policy.PracticeID → *cell
	tasks     tasks
	outbox    outbox
	touched   touchedCells
	stats     counters
	readings  atomic.Int64 // of people, so far
	swept     atomic.Int64 // where the round over all practices stands
}

// New returns a Manager that follows the feed. Call it before the feed runs. It
// panics when a required option is missing: that is a mistake in the program.
func New(o Options) *Manager {
	if o.DB == nil || o.Feed == nil || o.People == nil || o.Keys == nil {
		panic("session: Options.DB, Feed, People and Keys are required")
	}
	m := &Manager{
		store:     databases{o.DB},
		feed:      o.Feed,
		people:    o.People,
		keys:      o.Keys,
		practices: o.Practices,
		now:       o.Now,
	}
	if m.now == nil {
		m.now = time.Now
	}
	if o.MaxCached <= 0 {
		o.MaxCached = defaultCached
	}
	m.cache = newCache(o.MaxCached)
	m.streams = newStreams(m.now, m.verifyStream)
	m.tasks.init()
	m.touched.init()
	o.Feed.Subscribe(m.changed)
	return m
}

// Streams is the registry of open exchanges.
func (m *Manager) Streams() *Streams { return m.streams }

// cell returns what this node holds of a practice.
func (m *Manager) cell(id policy.PracticeID) *cell {
	if c, ok := m.cells.Load(id); ok {
		return c.(*cell)
	}
	c, _ := m.cells.LoadOrStore(id, newCell(m, id))
	return c.(*cell)
}

// known is cell for those who have no business making one.
func (m *Manager) known(id policy.PracticeID) *cell {
	if c, ok := m.cells.Load(id); ok {
		return c.(*cell)
	}
	return nil
}

// Run writes down last seen, follows what other nodes changed, deletes expired
// rows and cuts streams whose time is over, until ctx ends. It then writes what is
// left and returns nil.
func (m *Manager) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range taskWorkers {
		wg.Go(func() { m.work(ctx) })
	}
	wg.Go(func() { every(ctx, tickEvery, nil, func() { m.streams.CutOverdue(); m.tasks.retry() }) })
	wg.Go(func() { every(ctx, tickEvery, nil, func() { m.publishPending(ctx) }) })
	wg.Go(func() { every(ctx, tickEvery, m.touched.urgent, func() { m.flush(ctx, true) }) })
	wg.Go(func() { every(ctx, flushEvery, nil, func() { _ = m.Flush(ctx); m.verifyStreams(ctx) }) })
	wg.Go(func() { every(ctx, sweepEvery, nil, func() { _ = m.Sweep(ctx) }) })
	wg.Wait()
	_ = m.settle(ctx)
	return nil
}

// Close cuts every stream and writes what is left, after Run has returned or where
// it never ran. The databases must still be open.
func (m *Manager) Close() error {
	for _, p := range m.streams.practices() {
		m.streams.CutPractice(p)
	}
	return m.settle(context.Background())
}

// settle writes what is in memory, whatever has become of ctx.
func (m *Manager) settle(ctx context.Context) error {
	ctx, cancel := detach(ctx)
	defer cancel()
	err := m.Flush(ctx)
	m.publishPending(ctx)
	return err
}

// every calls fn at each tick, and when gate is given only if it says so.
func every(ctx context.Context, interval time.Duration, gate func() bool, fn func()) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if gate == nil || gate() {
				fn()
			}
		}
	}
}

// publish tells other nodes, and through the feed this one. What cannot be told
// now is told later by Run: the change is made already, in SQL, where every node
// finds it by itself at its next writing of last seen.
func (m *Manager) publish(ctx context.Context, c bus.Change) {
	if err := m.feed.Publish(ctx, c); err != nil {
		m.stats.unpublished.Add(1)
		m.outbox.add(c)
		m.changed(c)
	}
}

func (m *Manager) publishPending(ctx context.Context) {
	for _, c := range m.outbox.take() {
		if ctx.Err() != nil || m.feed.Publish(ctx, c) != nil {
			m.outbox.add(c)
		}
	}
}

// outbox keeps changes that could not be published. Beyond its bound it keeps one
// for the whole practice instead.
type outbox struct {
	mu      sync.Mutex
	pending map[bus.Change]struct{}
}

const maxOutbox = 4096

func (o *outbox) add(c bus.Change) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pending == nil {
		o.pending = make(map[bus.Change]struct{})
	}
	c.Seq, c.At = 0, time.Time{}
	if len(o.pending) >= maxOutbox {
		c.Ref = ""
		for old := range o.pending {
			if old.Practice == c.Practice && old.Kind == c.Kind {
				delete(o.pending, old)
			}
		}
	}
	o.pending[c] = struct{}{}
}

func (o *outbox) take() []bus.Change {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []bus.Change
	for c := range o.pending {
		out = append(out, c)
	}
	clear(o.pending)
	return out
}
