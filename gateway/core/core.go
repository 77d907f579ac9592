// Package core puts the parts of the gateway together: it opens the state of one
// installation once, runs what has to run beside requests, and closes all of it.
package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"clinicgate/gateway/account"
	"clinicgate/gateway/audit"
	"clinicgate/gateway/bus"
	"clinicgate/gateway/certstore"
	"clinicgate/gateway/database"
	"clinicgate/gateway/directory"
	"clinicgate/gateway/hashing"
	"clinicgate/gateway/limit"
	"clinicgate/gateway/redis"
	"clinicgate/gateway/session"
	"clinicgate/gateway/vault"
	"clinicgate/policy"

	goredis "github.com/redis/go-redis/v9"
)

// Options say where an installation keeps its state.
type Options struct {
	State     string // folder of the databases, unless Postgres has them
	MasterKey string // file of the master key
	Platform  policy.Platform

	Postgres      *database.Postgres // nil: SQLite files in State
	OpenPractices int                // practices' databases open at once; 0: as many as database.Options says
	Redis         *redis.Options     // nil: this gateway is by itself
	Copying       bool               // for OpenTool: the databases are a copy in the making (database.OpenCopy)

	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: discards
}

// Place names the databases. A config with another place needs another core: a state
// folder that was moved to PostgreSQL is left by a reload.
func (o Options) Place() string {
	if o.Postgres == nil {
		return o.State
	}
	return o.State + "\n" + o.Postgres.Registry + "\n" + o.Postgres.Practices
}

// Core is an open installation. Its parts are safe for concurrent use.
type Core struct {
	Now          func() time.Time
	DB           *database.Set
	Vault        *vault.Vault
	Feed         *bus.Feed
	Directory    *directory.Directory
	Accounts     *account.Service
	Sessions     *session.Manager
	Flows        *session.Flows
	Streams      *session.Streams
	Limits       *limit.Limiter
	Audit        *audit.Log
	Certificates *certstore.Store
	Metrics      *Metrics

	hashes    *hashing.Pool // where Accounts hash passwords
	log       atomic.Pointer[slog.Logger]
	aliases   atomic.Pointer[headerAliases]
	retention atomic.Int64 // of audit events, a time.Duration
	expiries  atomic.Pointer[expiries]

	clock   clock
	redis   *goredis.Client // nil: none
	stop    context.CancelFunc
	running sync.WaitGroup
}

// Open opens everything and starts what runs beside requests. The master key must
// exist: an installation that quietly made a new one could not read its secrets.
func Open(ctx context.Context, o Options) (*Core, error) {
	if err := checkMoved(o); err != nil {
		return nil, err
	}
	c, err := open(ctx, o, hashing.New)
	if err != nil {
		return nil, err
	}
	c.hashes.Warm()
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	c.run(background, "change feed", c.Feed.Run)
	c.run(background, "directory", c.Directory.Run)
	c.run(background, "sessions", c.Sessions.Run)
	c.run(background, "sign-in budgets", c.Limits.Run)
	c.run(background, "signing keys", c.keepKeys)
	c.run(background, "housekeeping", c.keepHouse)
	if o.Postgres != nil {
		c.run(background, "clock", c.keepClock)
	}
	return c, nil
}

// OpenTool opens everything for one command: nothing runs in the background, and no
// process beside it.
func OpenTool(ctx context.Context, o Options) (*Core, error) {
	return open(ctx, o, func(func() *slog.Logger) *hashing.Pool { return hashing.NewLocal(0, 0) })
}

func open(ctx context.Context, o Options, hashes func(log func() *slog.Logger) *hashing.Pool) (_ *Core, err error) {
	c := &Core{Now: o.Now, stop: func() {}}
	c.SetLog(o.Log)
	if c.Now == nil {
		c.Now = time.Now
	}
	c.clock.own = c.Now
	if o.Postgres != nil {
		c.Now = c.clock.Now
	}
	defer func() {
		if err != nil {
			_ = c.Close()
		}
	}()
	if err := os.MkdirAll(o.State, 0o700); err != nil {
		return nil, fmt.Errorf("making the state folder: %w", err)
	}
	openDatabases := database.Open
	if o.Copying {
		openDatabases = database.OpenCopy
	}
	if c.DB, err = openDatabases(ctx, database.Options{Dir: o.State, Postgres: o.Postgres, MaxOpen: o.OpenPractices, Now: c.Now}); err != nil {
		return nil, err
	}
	if o.Postgres != nil {
		if err := c.clock.measure(ctx, c.DB.Registry()); err != nil {
			return nil, fmt.Errorf("reading the database's clock: %w", err)
		}
	}
	if c.Vault, err = vault.Open(ctx, o.MasterKey, c.DB.Registry(), c.Now); err != nil {
		return nil, err
	}
	c.Certificates = certstore.New(c.DB.Registry(), c.Vault, c.Now, certstore.Pace{})
	c.Feed = bus.New(c.DB.Registry(), c.Now)
	if c.redis, err = openRedis(o.Redis, c.Feed); err != nil {
		return nil, err
	}
	if c.Directory, err = directory.Open(ctx, c.DB.Registry(), c.Feed, o.Platform); err != nil {
		return nil, err
	}
	c.DB.SetGuard(c.Directory.CheckGeneration)
	c.setAliases(o.Platform.HeaderAliases)
	c.retention.Store(int64(o.Platform.Retention.Audit))
	c.hashes = hashes(c.Log)
	c.openPeople()
	c.Metrics = newMetrics(c)
	c.follow()
	return c, nil
}

// checkMoved refuses to serve from a state folder that was moved to PostgreSQL: what
// happened there since is not in it.
func checkMoved(o Options) error {
	if o.Postgres != nil {
		return nil
	}
	f, err := database.FrozenState(o.State)
	if err != nil || f == nil {
		return err
	}
	return fmt.Errorf("the state in %s is frozen since %s: it is moved to %s: add `cluster %s` to the clinicgate block of the Caddyfile, "+
		"or take it back with `gateway migrate --abandon`", o.State, f.At.UTC().Format(time.DateTime), f.To, f.To)
}

// openPeople wires what works on a practice's own database.
func (c *Core) openPeople() {
	c.Audit = audit.New(audit.Options{
		DB: c.DB, Vault: c.Vault, Now: c.Now, Alarm: func(message string, args ...any) { c.Log().Error(message, args...) },
	})
	c.Limits = limit.New(limit.Options{Now: c.Now, Redis: c.redis, Alarm: c.redisAlarm})
	c.Accounts = account.New(account.Options{
		DB: c.DB, Vault: c.Vault, Now: c.Now, Changed: c.personChanged, PracticeName: c.practiceName, Hashes: c.hashes,
	})
	c.Sessions = session.New(session.Options{
		DB: c.DB, Feed: c.Feed, People: people{c}, Keys: c.tokenKey, Practices: c.sessionLimits, Now: c.Now,
	})
	c.Streams, c.Flows = c.Sessions.Streams(), c.Sessions.Flows()
}

// tokenKey marks a practice's cookies.
func (c *Core) tokenKey(ctx context.Context, id policy.PracticeID) ([]byte, error) {
	keys, err := c.Vault.Practice(ctx, id)
	if err != nil {
		return nil, err
	}
	return keys.Derive("session tokens"), nil
}

// SetLog replaces the log: a config reload brings a new one. nil discards.
func (c *Core) SetLog(log *slog.Logger) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c.log.Store(log)
}

// Log is where operators look. Nothing of a person or a patient is written to it.
func (c *Core) Log() *slog.Logger { return c.log.Load() }

// run runs one background job until Close.
func (c *Core) run(ctx context.Context, name string, job func(context.Context) error) {
	c.running.Go(func() {
		if err := job(ctx); err != nil && !errors.Is(err, context.Canceled) {
			c.Log().Error("background job ended", "job", name, "reason", err)
		}
	})
}

// closeTimeout bounds how long writing what is in memory may take at the end.
const closeTimeout = 10 * time.Second

// Close stops the background jobs and the password workers, writes what is still in
// memory and closes the databases. Open streams are cut.
func (c *Core) Close() error {
	c.stop()
	c.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var failures []error
	if c.hashes != nil {
		c.hashes.Close()
	}
	if c.Sessions != nil {
		failures = append(failures, c.Sessions.Close())
	}
	if c.Audit != nil {
		failures = append(failures, c.Audit.Close(ctx))
	}
	if c.Certificates != nil {
		failures = append(failures, c.Certificates.Close(ctx))
	}
	if c.DB != nil {
		failures = append(failures, c.DB.Close())
	}
	if c.redis != nil {
		failures = append(failures, c.redis.Close())
	}
	return errors.Join(failures...)
}
