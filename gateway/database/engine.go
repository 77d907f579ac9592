package database

import (
	"context"
	"database/sql"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"clinicgate/policy"
	"github.com/pressly/goose/v3"
)

// engine is the seam between this package and a kind of database. Everything else (transactions, statement cache,
// practice handles, migrations, error sentinels) is written once, above it.
type engine interface {
	// open connects to the database t names; ErrMissing when there is none. It neither creates nor migrates.
	open(ctx context.Context, t target) (*opened, error)
	// create makes the database t names, complete with meta table and schema, or leaves nothing. It is no error when
	// it exists already.
	create(ctx context.Context, t target) error
	// remove takes the database out of service everywhere, also in other processes, and keeps it under a dated name.
	remove(ctx context.Context, t target, stamp int64) error
	// list returns the practices that have a database, in order.
	list(ctx context.Context) ([]policy.PracticeID, error)
	// setup makes a new connection ready (per-connection settings).
	setup(ctx context.Context, c *sql.Conn, write bool) error
	// begin starts a transaction: a snapshot to read, or the one writer's lock.
	begin(ctx context.Context, c *conn, write bool) error
	// classify judges an error of the driver.
	classify(err error) class
	// tidy removes what creations left behind that were killed.
	tidy(ctx context.Context, now time.Time)
	// dialect is goose's name for this engine, with what it takes for two processes to migrate at once.
	dialect() (goose.Dialect, []goose.ProviderOption)
	// writable is nil unless everything that writes is refused.
	writable() error
	// readers is how many connections read a practice's database at once.
	readers() int
	// unhurried lifts the limits that bound a transaction's time, for this one.
	unhurried(ctx context.Context, tx *Tx) error
	// clock tells the time that all who have the databases open agree on.
	clock(ctx context.Context, tx *Tx) (time.Time, error)
}

// target names one database: the registry (zero practice) or a practice's own, with the schema it must have.
type target struct {
	practice   policy.PracticeID
	generation int64 // of the practice; 0: whichever it says it is
	migrations fs.FS
	version    int64 // the highest migration, 0 when there is none
	copying    bool  // the registry of a copy in the making
}

// unfinishedRegistry is the owner of a registry whose databases are a copy in the making.
const unfinishedRegistry = "registry, unfinished copy"

// owner is what the meta table of this database says. A practice may be called "registry", hence the prefix. The first
// generation stands without a number.
func (t target) owner() string {
	switch {
	case t.practice == "" && t.copying:
		return unfinishedRegistry
	case t.practice == "":
		return "registry"
	case t.generation <= 1:
		return "practice:" + string(t.practice)
	}
	return "practice:" + string(t.practice) + "/" + strconv.FormatInt(t.generation, 10)
}

// claimed returns t with the generation that a database's owner names; ok is false when it is another's, or of another
// generation than t asks for.
func (t target) claimed(owner string) (_ target, ok bool) {
	if t.copying && owner == (target{}).owner() { // not marked yet
		return t, true
	}
	want := t.generation
	if t.practice != "" {
		t.generation = 1
		if number, found := strings.CutPrefix(owner, t.owner()+"/"); found {
			t.generation, _ = strconv.ParseInt(number, 10, 64)
		}
	}
	return t, owner == t.owner() && (want == 0 || want == t.generation)
}

// String names the database in errors.
func (t target) String() string {
	if t.practice == "" {
		return "registry database"
	}
	return "database of practice " + string(t.practice)
}

// opened is a database an engine has opened.
type opened struct {
	db    *sql.DB
	stale func() error // cheap: nil as long as the database has not been removed or replaced since; then the handle must be closed
}
