package database_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"clinicgate/gateway/database"
	"github.com/google/go-cmp/cmp"
)

func practice(t *testing.T) (*database.Set, *database.PracticeDB) {
	t.Helper()
	s := openSet(t, database.Options{})
	if err := s.Create(t.Context(), "harbour"); err != nil {
		t.Fatal(err)
	}
	return s, s.Practice("harbour")
}

const insertNote = "INSERT INTO note (id, body) VALUES ($1, $2)"

func TestWriteKeepsAllOrNothing(t *testing.T) {
	_, db := practice(t)
	ctx := t.Context()
	mine := errors.New("mine")
	tests := []struct {
		name string
		fn   func(*database.Tx) error
		want error
	}{
		{"error of the function", func(tx *database.Tx) error {
			_, err := tx.Exec(ctx, insertNote, 1, "a")
			return errors.Join(err, mine)
		}, mine},
		{"swallowed conflict", func(tx *database.Tx) error {
			_, _ = tx.Exec(ctx, insertNote, 1, "a")
			_, _ = tx.Exec(ctx, insertNote, 1, "b")
			return nil
		}, database.ErrConflict},
		{"swallowed conflict of a returning statement", func(tx *database.Tx) error {
			_, _ = tx.Exec(ctx, insertNote, 1, "a")
			var id int64
			_ = tx.QueryRow(ctx, insertNote+" RETURNING id", 1, "b").Scan(&id)
			return nil
		}, database.ErrConflict},
		{"statement after a swallowed failure", func(tx *database.Tx) error {
			_, _ = tx.Exec(ctx, "INSERT INTO nowhere VALUES ($1)", 1)
			_, err := tx.Exec(ctx, insertNote, 1, "a")
			return err
		}, database.ErrUnavailable},
		{"row after a swallowed failure", func(tx *database.Tx) error {
			_, _ = tx.Exec(ctx, insertNote, 1, "a")
			_, _ = tx.Exec(ctx, insertNote, 1, "b")
			var n int
			return tx.QueryRow(ctx, "SELECT count(*) FROM note").Scan(&n)
		}, database.ErrConflict},
		{"statement that does not parse", func(tx *database.Tx) error {
			_, _ = tx.Exec(ctx, insertNote, 1, "a")
			_, err := tx.Query(ctx, "SELEC")
			return err
		}, database.ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := db.Write(ctx, tt.fn); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if got := count(t, db); got != 0 {
				t.Errorf("got %d rows, want none", got)
			}
		})
	}
}

func TestPanicKeepsNothingAndHandsBackTheConnection(t *testing.T) {
	_, db := practice(t)
	func() {
		defer func() { _ = recover() }()
		_ = db.Write(t.Context(), func(tx *database.Tx) error {
			_, _ = tx.Exec(t.Context(), insertNote, 1, "a")
			if rows, err := tx.Query(t.Context(), "SELECT id FROM note"); err == nil {
				rows.Next()
			}
			_ = tx.QueryRow(t.Context(), "SELECT body FROM note")
			panic("in the middle")
		})
	}()
	if got := count(t, db); got != 0 {
		t.Errorf("got %d rows, want none", got)
	}
	if err := put(t, db, 1, "b"); err != nil {
		t.Errorf("after the panic: %v", err)
	}
}

func TestReaderCannotWrite(t *testing.T) {
	s, db := practice(t)
	for name, d := range map[string]store{"practice": db, "registry": s.Registry()} {
		err := d.Read(t.Context(), func(tx *database.Tx) error {
			_, err := tx.Exec(t.Context(), insertNote, 1, "a")
			return err
		})
		if !errors.Is(err, database.ErrUnavailable) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
		if got := count(t, d); got != 0 {
			t.Errorf("%s: got %d rows, want none", name, got)
		}
	}
}

func TestPlaceholdersAreNumberedNotPositional(t *testing.T) {
	_, db := practice(t)
	var got []string
	err := db.Read(t.Context(), func(tx *database.Tx) error {
		var a, b, c string
		err := tx.QueryRow(t.Context(), "SELECT $2, $1, $2", "first", "second").Scan(&a, &b, &c)
		got = []string{a, b, c}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"second", "first", "second"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestStatementAmongOpenRowsIsRefused(t *testing.T) {
	_, db := practice(t)
	for id := range int64(3) {
		if err := put(t, db, id, "x"); err != nil {
			t.Fatal(err)
		}
	}
	const all = "SELECT id FROM note ORDER BY id"
	unscanned := func(tx *database.Tx) error { return tx.QueryRow(t.Context(), all).Err() }
	open := func(tx *database.Tx) error {
		rows, err := tx.Query(t.Context(), all)
		if err == nil {
			rows.Next()
		}
		return err
	}
	for name, leave := range map[string]func(*database.Tx) error{"row not scanned": unscanned, "rows not closed": open} {
		err := db.Write(t.Context(), func(tx *database.Tx) error {
			if err := leave(tx); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), insertNote, 9, "among")
			return err
		})
		if err == nil {
			t.Errorf("%s: a statement among open rows passed", name)
		}
	}
	if got := count(t, db); got != 3 {
		t.Errorf("got %d rows, want 3", got)
	}
}

func TestRowsLeftOpenDoNotSpoilTheConnection(t *testing.T) {
	_, db := practice(t)
	for id := range int64(3) {
		if err := put(t, db, id, "x"); err != nil {
			t.Fatal(err)
		}
	}
	leaks := []func(tx *database.Tx) error{
		func(tx *database.Tx) error {
			rows, err := tx.Query(t.Context(), "SELECT id FROM note")
			if err == nil {
				rows.Next()
			}
			return err
		},
		func(tx *database.Tx) error { return tx.QueryRow(t.Context(), "SELECT body FROM note").Err() }, // never scanned
	}
	for i := range 10 { // more often than there are connections
		leak := leaks[i%2]
		if err := errors.Join(db.Read(t.Context(), leak), db.Write(t.Context(), leak)); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(t, db, 9, "after"); err != nil {
		t.Error(err)
	}
}

func TestTransactionIsUselessOnceOver(t *testing.T) {
	_, db := practice(t)
	var kept *database.Tx
	if err := db.Write(t.Context(), func(tx *database.Tx) error { kept = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := kept.Exec(t.Context(), insertNote, 1, "a"); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("Exec: got %v, want ErrUnavailable", err)
	}
	if _, err := kept.Query(t.Context(), "SELECT 1"); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("Query: got %v, want ErrUnavailable", err)
	}
	var n int
	if err := kept.QueryRow(t.Context(), "SELECT 1").Scan(&n); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("QueryRow: got %v, want ErrUnavailable", err)
	}
	if got := count(t, db); got != 0 {
		t.Errorf("got %d rows, want none", got)
	}
}

func TestZeroValuesRefuse(t *testing.T) {
	noop := func(*database.Tx) error { return nil }
	var db *database.DB
	var pdb *database.PracticeDB
	var tx database.Tx
	for name, err := range map[string]error{
		"nil DB": db.Read(t.Context(), noop), "zero DB": new(database.DB).Write(t.Context(), noop),
		"nil PracticeDB": pdb.Write(t.Context(), noop), "zero PracticeDB": new(database.PracticeDB).Read(t.Context(), noop),
		"zero Tx": tx.QueryRow(t.Context(), "SELECT 1").Err(),
	} {
		if !errors.Is(err, database.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
	}
}

func TestTimeArgumentIsRefused(t *testing.T) {
	_, db := practice(t)
	err := db.Write(t.Context(), func(tx *database.Tx) error {
		_, err := tx.Exec(t.Context(), insertNote, 1, time.Unix(0, 0))
		return err
	})
	if err == nil || count(t, db) != 0 {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestNoRowsIsTheCallersAffair(t *testing.T) {
	_, db := practice(t)
	err := db.Read(t.Context(), func(tx *database.Tx) error {
		var body string
		return tx.QueryRow(t.Context(), "SELECT body FROM note").Scan(&body)
	})
	if !errors.Is(err, sql.ErrNoRows) || errors.Is(err, database.ErrUnavailable) {
		t.Errorf("got %v, want sql.ErrNoRows alone", err)
	}
}

func TestCancelledContextIsUnavailableAndLeavesTheDatabaseGood(t *testing.T) {
	_, db := practice(t)
	tests := []struct {
		name string
		run  func(ctx context.Context, cancel func()) error
	}{
		{"before", func(ctx context.Context, cancel func()) error {
			cancel()
			return db.Write(ctx, func(tx *database.Tx) error { return nil })
		}},
		{"during a long statement", func(ctx context.Context, cancel func()) error {
			return db.Write(ctx, func(tx *database.Tx) error {
				if _, err := tx.Exec(ctx, insertNote, 1, "a"); err != nil {
					return err
				}
				time.AfterFunc(20*time.Millisecond, cancel)
				const endless = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
					INSERT INTO note (id, body) SELECT -i, 'x' FROM n`
				_, err := tx.Exec(ctx, endless)
				return err
			})
		}},
		{"swallowed by the function", func(ctx context.Context, cancel func()) error {
			return db.Write(ctx, func(tx *database.Tx) error {
				_, err := tx.Exec(ctx, insertNote, 1, "a")
				cancel()
				return err
			})
		}},
		{"while another writes", func(ctx context.Context, cancel func()) error {
			inside, leave := make(chan struct{}), make(chan struct{})
			done := make(chan error, 1)
			go func() {
				done <- db.Write(context.WithoutCancel(ctx), func(*database.Tx) error {
					close(inside)
					<-leave
					return nil
				})
			}()
			<-inside
			cancel()
			err := db.Write(ctx, func(*database.Tx) error { return nil })
			close(leave)
			return errors.Join(err, <-done)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := tt.run(ctx, cancel)
			if !errors.Is(err, database.ErrUnavailable) || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want ErrUnavailable and context.Canceled", err)
			}
			if got := count(t, db); got != 0 {
				t.Errorf("got %d rows, want none", got)
			}
			if err := db.Write(t.Context(), func(*database.Tx) error { return nil }); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestReadIsASnapshotAndDoesNotWaitForTheWriter(t *testing.T) {
	_, db := practice(t)
	ctx := t.Context()
	err := db.Read(ctx, func(r *database.Tx) error {
		read := func() (n int64) {
			if err := r.QueryRow(ctx, "SELECT count(*) FROM note").Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		before := read()
		if err := put(t, db, 1, "a"); err != nil {
			return err
		}
		if after := read(); before != 0 || after != 0 {
			t.Errorf("the snapshot went from %d to %d rows", before, after)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Write(ctx, func(w *database.Tx) error {
		_, err := w.Exec(ctx, insertNote, 2, "b")
		if got := count(t, db); got != 1 {
			t.Errorf("a reader beside the writer sees %d rows, want 1", got)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
