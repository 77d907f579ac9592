package audit_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/database"
	"clinicgate/policy"
)

const harbour = policy.PracticeID("harbour")

// keyring gives each practice a key that depends on its name and on the ring only.
type keyring string

func (k keyring) CheckpointKey(_ context.Context, id policy.PracticeID) (note.Signer, note.Verifier, error) {
	seed := sha256.Sum256([]byte(string(k) + "/" + string(id)))
	skey, vkey, err := note.GenerateKey(strings.NewReader(string(seed[:])+string(seed[:])), "clinicgate/"+string(id))
	if err != nil {
		return nil, nil, err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, nil, err
	}
	verifier, err := note.NewVerifier(vkey)
	return signer, verifier, err
}

// clock is a time that only moves when told.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// bench is a state folder with a log on it.
type bench struct {
	t     testing.TB
	dir   string
	keys  audit.Keys
	clock *clock
	opts  audit.Options
	set   *database.Set
	log   *audit.Log
}

// newBench makes a folder with one practice, harbour.
func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), keys: keyring("master"), clock: newClock()}
	b.open()
	t.Cleanup(b.close)
	b.create(harbour)
	return b
}

func (b *bench) create(id policy.PracticeID) {
	b.t.Helper()
	if err := b.set.Create(b.t.Context(), id); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) open() {
	b.t.Helper()
	set, err := database.Open(context.Background(), database.Options{Dir: b.dir})
	if err != nil {
		b.t.Fatal(err)
	}
	o := b.opts
	o.DB, o.Vault, o.Now = set, b.keys, b.clock.now
	b.set, b.log = set, audit.New(o)
}

func (b *bench) close() {
	b.t.Helper()
	if b.set == nil {
		return
	}
	if err := b.log.Close(context.Background()); err != nil {
		b.t.Errorf("closing the log: %v", err)
	}
	if err := b.set.Close(); err != nil {
		b.t.Errorf("closing the databases: %v", err)
	}
	b.set = nil
}

func (b *bench) reopen() {
	b.t.Helper()
	b.close()
	b.open()
}

// add appends n events to harbour.
func (b *bench) add(n int) {
	b.t.Helper()
	for range n {
		b.append(event("password_accepted"))
	}
}

// addPlain appends n events without a request id.
func (b *bench) addPlain(n int) {
	b.t.Helper()
	for range n {
		e := event("password_accepted")
		e.Request = ""
		b.append(e)
	}
}

// addMany appends n events at once.
func (b *bench) addMany(n int) {
	b.t.Helper()
	done := make(chan error, n)
	for i := range n {
		e := event("many")
		e.Request = fmt.Sprint("many-", i)
		go func() { done <- b.log.Append(b.t.Context(), harbour, e) }()
	}
	for range n {
		if err := <-done; err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) append(e audit.Event) {
	b.t.Helper()
	if err := b.log.Append(b.t.Context(), harbour, e); err != nil {
		b.t.Fatalf("Append: %v", err)
	}
}

func event(action string) audit.Event {
	return audit.Event{Class: audit.SignIn, Action: action, Actor: "person-1", Subject: "person-1", Addr: "203.0.113.9",
		Request: "req-1", Detail: map[string]string{"method": "password"}}
}

func (b *bench) file(id policy.PracticeID) string {
	return filepath.Join(b.dir, "practices", string(id)+".db")
}

func (b *bench) registry() string { return filepath.Join(b.dir, "registry.db") }

// tamper does what somebody with the file does while the gateway is down.
func (b *bench) tamper(file string, statements ...string) {
	b.t.Helper()
	b.close()
	b.edit(file, statements...)
	b.open()
}

// edit runs statements on a database file beside whatever has it open.
func (b *bench) edit(file string, statements ...string) {
	b.t.Helper()
	raw, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)")
	if err != nil {
		b.t.Fatal(err)
	}
	defer raw.Close()
	raw.SetMaxOpenConns(1)
	for _, s := range statements {
		if _, err := raw.Exec(s); err != nil {
			b.t.Fatalf("%s: %v", s, err)
		}
	}
}

// text reads one value from a database file.
func (b *bench) text(file, query string) string {
	b.t.Helper()
	raw, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)")
	if err != nil {
		b.t.Fatal(err)
	}
	defer raw.Close()
	var s string
	if err := raw.QueryRow(query).Scan(&s); err != nil {
		b.t.Fatalf("%s: %v", query, err)
	}
	return s
}

// copyFile puts a copy of from at to, without the side files of to.
func (b *bench) copyFile(from, to string) {
	b.t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, side := range []string{"-wal", "-shm"} {
		_ = os.Remove(to + side)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) verify() audit.Report {
	b.t.Helper()
	report, err := b.log.Verify(b.t.Context(), harbour, nil)
	if err != nil {
		b.t.Fatalf("Verify: %v", err)
	}
	return report
}

func (b *bench) wantIntact(rows int64) {
	b.t.Helper()
	if r := b.verify(); !r.Intact || r.Rows != rows {
		b.t.Fatalf("Verify = intact %v, %d rows, %+v; want intact with %d rows", r.Intact, r.Rows, r.Findings, rows)
	}
}

// wantBad checks the first finding.
func (b *bench) wantBad(kind audit.Kind, row int64) {
	b.t.Helper()
	r := b.verify()
	bad, found := r.FirstBad()
	if !found || r.Intact || bad.Kind != kind || bad.Row != row {
		b.t.Fatalf("first bad = %+v (intact %v), want %s at row %d; all: %+v", bad, r.Intact, kind, row, r.Findings)
	}
	if !strings.Contains(r.String(), bad.Sentence) || bad.Sentence == "" {
		b.t.Fatalf("report %q does not say %q", r, bad.Sentence)
	}
}

func (b *bench) tail(n int) []audit.Record {
	b.t.Helper()
	list, err := b.log.Tail(b.t.Context(), harbour, n)
	if err != nil {
		b.t.Fatalf("Tail: %v", err)
	}
	return list
}

func (b *bench) flush() {
	b.t.Helper()
	if err := b.log.Flush(b.t.Context()); err != nil {
		b.t.Fatalf("Flush: %v", err)
	}
}

// counts is the number of harbour's records by action.
func (b *bench) counts() map[string]int {
	b.t.Helper()
	out := make(map[string]int)
	for _, r := range b.tail(audit.MaxTail) {
		out[r.Action]++
	}
	return out
}

func sprint(v any) string { return fmt.Sprintf("%+v", v) }
