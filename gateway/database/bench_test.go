package database_test

import (
	"context"
	"fmt"
	"testing"

	"clinicgate/gateway/database"
)

func benchSet(b *testing.B, o database.Options) *database.Set {
	b.Helper()
	o.Dir = b.TempDir()
	s, err := database.OpenWith(b.Context(), o, notes(), notes())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	for _, id := range []string{"harbour", "banksia"} {
		if err := s.Create(b.Context(), policyID(id)); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// BenchmarkWrite is a durable transaction of one row: one fdatasync.
func BenchmarkWrite(b *testing.B) {
	for _, mode := range []string{"FULL", "NORMAL"} {
		b.Run(mode, func(b *testing.B) {
			db := benchSet(b, database.Options{}).Practice("harbour")
			err := db.Write(b.Context(), func(tx *database.Tx) error { return nil })
			if err != nil {
				b.Fatal(err)
			}
			if mode == "NORMAL" { // not offered; here to know the price of FULL
				database.Relax(b.Context(), db)
			}
			id := int64(0)
			for b.Loop() {
				id++
				err := db.Write(b.Context(), func(tx *database.Tx) error {
					_, err := tx.Exec(b.Context(), insertNote, id, "body")
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRead is a snapshot and one look-up by key, as a request's context has it (it can be cancelled).
func BenchmarkRead(b *testing.B) {
	db := benchSet(b, database.Options{}).Practice("harbour")
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	err := db.Write(ctx, func(tx *database.Tx) error {
		_, err := tx.Exec(ctx, insertNote, 1, "body")
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		err := db.Read(ctx, func(tx *database.Tx) error {
			var body string
			return tx.QueryRow(ctx, "SELECT body FROM note WHERE id = $1", 1).Scan(&body)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen is the first read of a practice whose database is closed, and the closing of another.
func BenchmarkOpen(b *testing.B) {
	s := benchSet(b, database.Options{MaxOpen: 1})
	ids := []string{"harbour", "banksia"}
	i := 0
	for b.Loop() {
		i++
		err := s.Practice(policyID(ids[i%2])).Read(b.Context(), func(tx *database.Tx) error {
			var n int64
			return tx.QueryRow(b.Context(), "SELECT count(*) FROM note").Scan(&n)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCreate is a practice's database made with the product's own schema.
func BenchmarkCreate(b *testing.B) {
	s, err := database.Open(b.Context(), database.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	i := 0
	for b.Loop() {
		i++
		if err := s.Create(b.Context(), policyID(fmt.Sprint("p-", i))); err != nil {
			b.Fatal(err)
		}
	}
}
