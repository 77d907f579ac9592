// Package database opens the gateway's databases, brings their schema up to date and runs transactions on them: one
// registry for the platform, and for each practice a database of its own that no statement of another can reach.
package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"clinicgate/gateway/database/migrations"
	"clinicgate/policy"
)

const (
	defaultMaxOpen   = 128
	defaultIdleClose = 5 * time.Minute
	openTimeout      = 30 * time.Second
	closePatience    = 5 * time.Second
	registryReaders  = 8
)

// Options of a Set. Only Dir is required.
type Options struct {
	// Dir is the state folder; it is created with mode 0700. Unless Postgres says otherwise, the databases are in it.
	Dir string
	// Postgres puts the databases on a PostgreSQL server instead.
	Postgres *Postgres
	// MaxOpen bounds the practices' databases open at once; 0 means 128. Each takes at most 11 file descriptors, or 3
	// connections to PostgreSQL; the registry takes 9. When all of them are in use, a further practice waits.
	MaxOpen int
	// IdleClose is how long a practice's database stays open unused; 0 means 5 minutes.
	IdleClose time.Duration
	// Now tells the time; nil means time.Now.
	Now func() time.Time

	copying bool // a copy in the making (OpenCopy)
}

// Set is the state of one gateway: the registry and the practices' databases. It is safe for concurrent use, and other
// processes (the command line) may have the same folder open.
type Set struct {
	engine   engine
	now      func() time.Time
	idleFor  time.Duration
	registry *DB
	practice target // the template of every practice's target
	guard    Guard

	slots chan struct{} // one for each open practice database
	freed chan struct{} // a handle became idle while somebody may wait for a slot

	mu      sync.Mutex
	handles map[policy.PracticeID]*handle
	idle    idleList
	leaving map[policy.PracticeID]bool
	closed  bool

	stop func()
	done chan struct{}
}

// Open opens the state folder, creating it and the registry when they are not there. Practices' databases are opened
// when they are first used.
func Open(ctx context.Context, o Options) (*Set, error) {
	return open(ctx, o, migrations.Registry(), migrations.Practice())
}

func open(ctx context.Context, o Options, registry, practice fs.FS) (*Set, error) {
	if o.MaxOpen <= 0 {
		o.MaxOpen = defaultMaxOpen
	}
	if o.IdleClose <= 0 {
		o.IdleClose = defaultIdleClose
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	e, err := newEngine(o)
	if err != nil {
		return nil, err
	}
	e.tidy(ctx, o.Now())
	s := &Set{
		engine: e, now: o.Now, idleFor: o.IdleClose,
		slots: make(chan struct{}, o.MaxOpen), freed: make(chan struct{}, 1),
		handles: make(map[policy.PracticeID]*handle), leaving: make(map[policy.PracticeID]bool),
		done: make(chan struct{}),
	}
	if s.practice, err = newTarget(practice); err != nil {
		return nil, err
	}
	if err := s.openRegistry(ctx, registry, o.copying); err != nil {
		return nil, err
	}
	s.startJanitor()
	return s, nil
}

func newEngine(o Options) (engine, error) {
	switch {
	case o.Postgres != nil:
		return newPostgres(*o.Postgres, o.Now)
	case o.Dir == "":
		return nil, errors.New("opening the databases: no state folder given")
	default:
		return newSQLite(o.Dir, o.Now)
	}
}

func newTarget(files fs.FS) (target, error) {
	v, err := schemaVersion(files)
	if err != nil {
		return target{}, fmt.Errorf("reading the migrations: %w", err)
	}
	return target{migrations: files, version: v}, nil
}

func (s *Set) openRegistry(ctx context.Context, files fs.FS, copying bool) error {
	t, err := newTarget(files)
	if err != nil {
		return err
	}
	t.copying = copying
	if err := s.engine.create(ctx, t); err != nil {
		return err
	}
	st, err := openStore(ctx, s.engine, t, registryReaders)
	if err != nil {
		return err
	}
	s.registry = &DB{st}
	return nil
}

// Registry is the platform's database: practices, policies, keys, changes; nothing personal.
func (s *Set) Registry() *DB { return s.registry }

// Practice returns the practice's database. It does no I/O: the database is opened with the first transaction, which
// fails with ErrMissing when there is none.
func (s *Set) Practice(id policy.PracticeID) *PracticeDB { return &PracticeDB{set: s, id: id} }

// OpenCount is the number of practices' databases open now, those being opened or closed included.
func (s *Set) OpenCount() int { return len(s.slots) }

// Guard says whether a database of that generation is the practice's: nil, or an error that matches ErrSwapped or
// ErrUnavailable. A practice whose id is used again after a removal is of the next generation, and what is left of the
// one before, or was put back in its place, must never be opened for it (THREATS T5).
type Guard func(ctx context.Context, id policy.PracticeID, generation int64) error

// SetGuard has every practice's database asked about before it is used. Call it before any is.
func (s *Set) SetGuard(g Guard) { s.guard = g }

// Create makes the database of a practice's first generation.
func (s *Set) Create(ctx context.Context, id policy.PracticeID) error {
	return s.CreateGeneration(ctx, id, 1)
}

// CreateGeneration makes the practice's database. It is no error when it exists already. One that an unfinished removal
// left of an earlier generation is put aside first.
func (s *Set) CreateGeneration(ctx context.Context, id policy.PracticeID, generation int64) error {
	t, err := s.target(id)
	if err != nil {
		return err
	}
	t.generation = max(generation, 1)
	there, err := generationOf(ctx, s.engine, t)
	switch {
	case errors.Is(err, ErrMissing):
	case err != nil:
		return outage("creating the "+t.String(), err)
	case there > t.generation:
		return wrongGeneration(t, there)
	case there < t.generation:
		if err := s.Remove(ctx, id); err != nil && !errors.Is(err, ErrMissing) {
			return err
		}
	}
	return s.engine.create(ctx, t)
}

// generationOf reads which generation of the practice the database t names is of, also where the database cannot be used
// otherwise.
func generationOf(ctx context.Context, e engine, t target) (int64, error) {
	o, err := e.open(ctx, t)
	if err != nil {
		return 0, err
	}
	defer o.db.Close()
	c, err := o.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	t.generation = 0
	t, err = checkMeta(ctx, c, t)
	if errors.Is(err, errSchemaOld) || errors.Is(err, errSchemaNew) {
		err = nil
	}
	return t.generation, err
}

func wrongGeneration(t target, there int64) error {
	return &failure{
		doing: "creating the " + t.String(), class: ErrSwapped,
		cause: fmt.Errorf("it is there in generation %d, and generation %d is to be made", there, t.generation),
	}
}

// Practices returns the practices that have a database, in order.
func (s *Set) Practices(ctx context.Context) ([]policy.PracticeID, error) { return s.engine.list(ctx) }

// Migrate opens every practice's database once, which brings its schema up to date, and reports progress after each.
// It goes on after a failure and returns all of them.
func (s *Set) Migrate(ctx context.Context, progress func(done, total int)) error {
	ids, err := s.engine.list(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for i, id := range ids {
		if ctx.Err() != nil {
			return errors.Join(append(failures, unavailable("migrating", ctx.Err()))...)
		}
		if err := s.Practice(id).Read(ctx, func(*Tx) error { return nil }); err != nil {
			failures = append(failures, err)
		}
		if progress != nil {
			progress(i+1, len(ids))
		}
	}
	return errors.Join(failures...)
}

// Remove takes a practice's database out of service and keeps it as removed/<id>-<unix time>.db. From the call on no
// transaction of that practice begins, in this process or another; running ones are waited for.
func (s *Set) Remove(ctx context.Context, id policy.PracticeID) error {
	t, err := s.target(id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.leaving[id] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.leaving, id)
		s.mu.Unlock()
	}()
	if err := s.retire(ctx, id); err != nil {
		return err
	}
	return s.engine.remove(ctx, t, s.now().Unix())
}

func (s *Set) target(id policy.PracticeID) (target, error) {
	if _, err := policy.ParsePracticeID(string(id)); err != nil {
		return target{}, &failure{doing: "opening a practice's database", class: ErrMissing, cause: err}
	}
	t := s.practice
	t.practice = id
	return t, nil
}

// Close closes everything. Transactions that still run get a few seconds to end.
func (s *Set) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.stop()
	<-s.done
	err := s.closeHandles()
	s.registry.store.close()
	return err
}
