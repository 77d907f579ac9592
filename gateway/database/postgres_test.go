package database_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
)

// onPostgres are the options of an empty set on the server that is tested on. ok is false without one: these tests are
// about the server.
func onPostgres(t *testing.T) (o database.Options, ok bool) {
	t.Helper()
	o = databasetest.Options(t, database.Options{Dir: t.TempDir()})
	return o, o.Postgres != nil
}

// with changes the address of both databases.
func with(t *testing.T, p *database.Postgres, change func(*url.URL)) *database.Postgres {
	t.Helper()
	edit := func(address string) string {
		u, err := url.Parse(strings.Replace(address, "{practice}", "PRACTICE", 1))
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		return strings.Replace(u.String(), "PRACTICE", "{practice}", 1)
	}
	return &database.Postgres{Registry: edit(p.Registry), Practices: edit(p.Practices)}
}

// A node waits for another's migration longer than for any lock of a request, and a migration may take its time.
func TestNodeWaitsForALongMigration(t *testing.T) {
	o, ok := onPostgres(t)
	if !ok {
		return
	}
	createMany(t, openFiles(t, o), 1)
	o.Postgres = with(t, o.Postgres, func(u *url.URL) { u.RawQuery = "statement_timeout=300&lock_timeout=200" })
	next := fstest.MapFS{
		"00001_note.sql": {Data: []byte(noteSchema)},
		"00002_slow.sql": {Data: []byte("-- +goose Up\nSELECT pg_sleep(0.7);\nCREATE TABLE more (id BIGINT);\n")},
	}
	var nodes sync.WaitGroup
	for range 2 {
		nodes.Go(func() {
			s, err := database.OpenWith(t.Context(), o, next, next)
			if err == nil {
				err = errors.Join(s.Migrate(t.Context(), nil), s.Close())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	nodes.Wait()
}

// However many practices are used in turn, a node has at most so many connections.
func TestConnectionsAreBounded(t *testing.T) {
	o, ok := onPostgres(t)
	if !ok {
		return
	}
	const practices, openAtOnce, most = 24, 3, 9 + 3*3
	o.MaxOpen = openAtOnce
	s := openFiles(t, o)
	createMany(t, s, practices)
	name := t.Name()
	o.Postgres = with(t, o.Postgres, func(u *url.URL) { u.RawQuery = "application_name=" + name })
	node := openFiles(t, o)
	server, err := sql.Open("pgx", os.Getenv(databasetest.Server))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	connections := func() (n int) {
		const q = `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND datname <> 'postgres'`
		if err := server.QueryRow(q, name).Scan(&n); err != nil {
			t.Error(err)
		}
		return n
	}
	// As many at once as there may be: each practice's readers and writer, and all of the registry's.
	use := func(read, write func(context.Context, func(*database.Tx) error) error, readers int, busy *sync.WaitGroup, leave chan struct{}) {
		for range readers {
			busy.Go(func() {
				if err := read(t.Context(), func(*database.Tx) error { <-leave; return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		busy.Go(func() {
			if err := write(t.Context(), func(*database.Tx) error { <-leave; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	peak := 0
	for first := 0; first < practices; first += openAtOnce {
		var busy sync.WaitGroup
		leave := make(chan struct{})
		use(node.Registry().Read, node.Registry().Write, 10, &busy, leave)
		for i := range openAtOnce {
			db := node.Practice(policyID(fmt.Sprintf("p-%03d", first+i)))
			use(db.Read, db.Write, 5, &busy, leave)
		}
		until := time.Now().Add(20 * time.Second)
		for steady := 0; steady < 20 && time.Now().Before(until); { // all of them at work, and no more come
			if n := connections(); n > peak || n < most {
				peak, steady = max(peak, n), 0
			} else {
				steady++
			}
		}
		close(leave)
		busy.Wait()
	}
	// A connection that this node has closed is in the server's list for a moment longer.
	if peak > most+openAtOnce || peak < most {
		t.Errorf("got %d connections at once, want %d", peak, most)
	}
}

// A server that stands still in the middle of a commit does not hold the caller for ever, and the outcome is not
// taken for a success.
func TestCommitOnAServerThatStandsStillEnds(t *testing.T) {
	o, ok := onPostgres(t)
	if !ok {
		return
	}
	t.Cleanup(database.SetAnswerTimeout(500 * time.Millisecond))
	server, err := url.Parse(o.Postgres.Registry)
	if err != nil {
		t.Fatal(err)
	}
	line := newLine(t, server.Host)
	direct := openFiles(t, o)
	o.Postgres = with(t, o.Postgres, func(u *url.URL) { u.Host = line.addr })
	node := openFiles(t, o)
	insert := func(id int64, before func()) error {
		return node.Registry().Write(context.Background(), func(tx *database.Tx) error {
			_, err := tx.Exec(context.Background(), insertNote, id, "x")
			before()
			return err
		})
	}
	if err := insert(1, func() {}); err != nil { // and its statements are prepared
		t.Fatal(err)
	}
	if err := insert(2, line.pause); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("commit: got %v, want ErrUnavailable", err)
	}
	if err := insert(3, func() {}); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("begin: got %v, want ErrUnavailable", err)
	}
	line.resume()
	if err := insert(4, func() {}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if got := bodies(t, direct.Registry()); got[1] == "" || got[3] != "" || got[4] == "" {
		t.Errorf("got %v, want 1 and 4, perhaps 2", got)
	}
}

// line is a network that can stop carrying anything without ending connections.
type line struct {
	addr string
	mu   sync.Mutex
	open *sync.Cond
	held bool
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &line{addr: l.Addr().String()}
	n.open = sync.NewCond(&n.mu)
	var busy sync.WaitGroup
	busy.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			busy.Go(func() { n.carry(server, client) })
			busy.Go(func() { n.carry(client, server) })
		}
	})
	t.Cleanup(func() { l.Close(); n.resume(); busy.Wait() })
	return n
}

func (n *line) carry(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		k, err := from.Read(buf)
		n.mu.Lock()
		for n.held {
			n.open.Wait()
		}
		n.mu.Unlock()
		if k > 0 {
			_, _ = to.Write(buf[:k])
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				from.Close()
			}
			return
		}
	}
}

func (n *line) pause()  { n.set(true) }
func (n *line) resume() { n.set(false) }

func (n *line) set(held bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held = held
	n.open.Broadcast()
}
