package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

var (
	// ErrUnavailable matches every failure that is not the caller's: disk full, read-only folder, corrupt or foreign
	// file, locked out by another process for too long, cancelled or late context, closed Set. Callers answer 503:
	// nothing was decided and nothing of the transaction was kept.
	ErrUnavailable = errors.New("database unavailable")

	// ErrMissing says that the practice has no database: it was never created, or it was removed.
	ErrMissing = errors.New("the practice has no database")

	// ErrSwapped says that a file holds another database than its name promises. It also matches ErrUnavailable.
	ErrSwapped = errors.New("the file belongs to another database")

	// ErrConflict says that a row with the same unique key is there already. The transaction is void (PostgreSQL
	// would have it so); use ON CONFLICT where a conflict is expected.
	ErrConflict = errors.New("a row with the same key exists")
)

// failure is an error of ours: what was being done, which sentinel it matches, and the cause.
type failure struct {
	doing string
	class error
	cause error
}

func (f *failure) Error() string {
	if f.cause == nil {
		return f.doing + ": " + f.class.Error()
	}
	return fmt.Sprintf("%s: %v: %v", f.doing, f.class, f.cause)
}

// Unwrap lets errors.Is find the class, ErrUnavailable below the classes that are kinds of it, and the cause (context.Canceled and so on).
func (f *failure) Unwrap() []error {
	out := []error{f.class}
	switch f.class {
	case ErrSwapped, ErrFrozen, ErrUnfinished, ErrInUse:
		out = append(out, ErrUnavailable)
	}
	if f.cause != nil {
		out = append(out, f.cause)
	}
	return out
}

func unavailable(doing string, cause error) error {
	return &failure{doing: doing, class: ErrUnavailable, cause: cause}
}

func missing(t target) error {
	return &failure{doing: "opening the " + t.String(), class: ErrMissing}
}

// class is what an engine makes of an error.
type class int8

const (
	classCaller   class = iota // not a database's error, or a statement's own fault: handed through unchanged
	classConflict              // a unique key exists already
	classBusy                  // unavailable, the connection is good
	classBroken                // unavailable, the connection must not be used again
)

// classifyCommon judges the errors every engine can raise.
func classifyCommon(err error) (class, bool) {
	switch {
	case err == nil, errors.Is(err, sql.ErrNoRows):
		return classCaller, true
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone):
		return classBroken, true
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return classBusy, true
	}
	return classCaller, false
}

// ours reports whether err has been judged before.
func ours(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrMissing) || errors.Is(err, ErrConflict)
}

// outage turns an error of the database's own doings into one that matches a sentinel, whatever it is.
func outage(doing string, err error) error {
	if ours(err) {
		return err
	}
	return unavailable(doing, err)
}

// outageOrNil is outage for an error that may be nil.
func outageOrNil(doing string, err error) error {
	if err == nil {
		return nil
	}
	return outage(doing, err)
}

// judge turns a raw error into one that matches a sentinel, or returns it unchanged when it is the caller's own.
func judge(e engine, doing string, err error) error {
	if err == nil || ours(err) {
		return err
	}
	switch e.classify(err) {
	case classConflict:
		return &failure{doing: doing, class: ErrConflict, cause: err}
	case classBusy, classBroken:
		return unavailable(doing, err)
	default:
		return err
	}
}
