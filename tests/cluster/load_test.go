package cluster_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// load is a clinic at work while something breaks: signed-in requests, sign-ins, changes, open
// streams, and somebody who tries what is not allowed. It keeps what was acknowledged, and says of
// every answer whether it may be.
type load struct {
	t       testing.TB
	c       *cluster
	broken  bool // connections may break: a node is ended
	streams []*probe.Stream

	session string          // of the signed-in requests
	revoked string          // a session that was ended before
	who     harness.Account // of the sign-ins

	requests, signIns, changes worker

	mu      sync.Mutex
	entered []string        // sessions that were acknowledged
	added   map[string]bool // people whom a command has added

	stopped atomic.Bool
	running sync.WaitGroup
}

// worker is one of those who work, and what they see.
type worker struct {
	mu                 sync.Mutex
	good, told, broken int // served; told to come back; connections that broke
	last               time.Time
	pause, slowest     time.Duration // longest time without a good answer; slowest good answer
}

// saw notes an answer: nil for a good one.
func (w *worker) saw(began time.Time, good bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.last.IsZero() {
		w.last = began
	}
	if good {
		w.good++
		w.slowest = max(w.slowest, now.Sub(began))
		w.pause = max(w.pause, now.Sub(w.last))
		w.last = now
	}
}

func (w *worker) count(n *int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*n++
}

func (w *worker) served() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.good
}

func (w *worker) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("%d served, %d told to come back, %d connections broke; longest pause %s, slowest %s",
		w.good, w.told, w.broken, w.pause.Round(10*time.Millisecond), w.slowest.Round(10*time.Millisecond))
}

// clients is how many people ask for pages at once, on connections of their own to either node.
const clients = 4

// work begins. It returns when everybody has been served a few times, by both nodes.
func work(t testing.TB, c *cluster) *load {
	t.Helper()
	l := &load{t: t, c: c, added: map[string]bool{}, who: c.person(t, north)}
	l.session, l.revoked = signedIn(t, c.balanced, north, c.reader), signedIn(t, c.balanced, north, c.gone)
	for _, g := range c.direct {
		for _, session := range []string{l.session, l.revoked} {
			if got := ask(t, g, north, "/api/echo", session); got != http.StatusOK {
				t.Fatalf("before: a session answers %d", got)
			}
		}
	}
	c.command(t, "", "session", "revoke", "--practice", north, "--user", c.gone.Email)
	for _, g := range c.direct {
		becomes(t, within, g, north, "/api/echo", l.revoked, http.StatusUnauthorized)
	}
	for _, g := range c.direct {
		l.streams = append(l.streams, probe.Streams(t, g, g.Practice(north), l.session)...)
	}
	for k := range clients {
		l.running.Go(func() { l.read(k) })
	}
	l.running.Go(l.signIn)
	l.running.Go(l.change)
	l.running.Go(l.trespass)
	t.Cleanup(l.stop)
	l.goesOn(wait)
	return l
}

// stop ends the work, whatever became of it.
func (l *load) stop() {
	l.stopped.Store(true)
	l.running.Wait()
}

// goesOn waits until everybody has been served again, some times, by each node.
func (l *load) goesOn(within time.Duration) {
	l.t.Helper()
	for w, more := range map[*worker]int{&l.requests: 10, &l.signIns: 3, &l.changes: 1} {
		want := w.served() + more
		eventually(l.t, within, "work goes on", func() error {
			if w.served() < want {
				return errors.New(w.String())
			}
			return nil
		})
	}
	for i, g := range l.c.direct {
		if l.c.nodes[i].command == nil {
			continue
		}
		eventually(l.t, within, l.c.nodes[i].name+" signs in", func() error {
			res, err := signInAt(probe.Client(l.t, g, ""), g.Practice(north), l.who)
			if err != nil {
				return err
			}
			if session, found := probe.Cookie(res, probe.Session); !found {
				return errors.New(res.Status)
			} else if got := ask(l.t, g, north, "/api/echo", session); got != http.StatusOK {
				return fmt.Errorf("a new session answers %d", got)
			}
			return nil
		})
	}
}

// alive fails the test unless every stream still runs.
func (l *load) alive() {
	l.t.Helper()
	for _, s := range l.streams {
		s.Alive(l.t)
	}
}

// finish ends the work and checks that nothing acknowledged was lost. It logs what people saw.
func (l *load) finish() {
	l.t.Helper()
	l.stop()
	l.t.Logf("requests: %s", &l.requests)
	l.t.Logf("sign-ins: %s", &l.signIns)
	l.t.Logf("changes:  %s", &l.changes)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, session := range append(l.entered, l.session) {
		if got := ask(l.t, l.c.direct[i%2], north, "/api/echo", session); got != http.StatusOK {
			l.t.Errorf("acknowledged session %d of %d answers %d", i, len(l.entered), got)
		}
	}
	list := l.c.command(l.t, "", "user", "list", "--practice", north, "--json")
	log := l.c.command(l.t, "", "audit", "export", "--practice", north, "--format", "jsonl", "--since", "10m")
	for email := range l.added {
		if !strings.Contains(list, email) {
			l.t.Errorf("%s was added, and is not there", email)
		}
	}
	if got, want := strings.Count(log, `"signed_in"`), len(l.entered); got < want {
		l.t.Errorf("%d sign-ins are in the audit log, at least %d were acknowledged", got, want)
	}
	if got, want := strings.Count(log, `"person_added"`), len(l.added); got < want {
		l.t.Errorf("%d people are in the audit log as added, at least %d were", got, want)
	}
	l.c.verified(l.t)
}

// try sends a request. ok is false when there is no answer to look at: the connection broke, which
// is noted, or the client is told to come back.
func (l *load) try(w *worker, client *http.Client, req *http.Request) (res harness.Answer, ok bool) {
	got, err := client.Do(req)
	if err == nil {
		res.Response = got
		var body []byte
		body, err = io.ReadAll(io.LimitReader(got.Body, 1<<20))
		got.Body.Close()
		res.Text = string(body)
	}
	switch {
	case err != nil:
		w.count(&w.broken)
		if !l.broken && !l.stopped.Load() {
			l.t.Errorf("%s %s: %v", req.Method, req.URL.Path, err)
		}
		return res, false
	case res.StatusCode == http.StatusServiceUnavailable:
		w.count(&w.told)
		if res.Header.Get("Retry-After") == "" {
			l.t.Errorf("%s %s: 503 without Retry-After", req.Method, req.URL.Path)
		}
		return res, false
	}
	return res, true
}

// read asks for a page again and again. Every other client opens a connection each time.
func (l *load) read(k int) {
	client := probe.Client(l.t, l.c.balanced, "")
	client.Transport.(*http.Transport).DisableKeepAlives = k%2 == 0
	for ; !l.stopped.Load(); time.Sleep(40 * time.Millisecond) {
		began := time.Now()
		res, ok := l.try(&l.requests, client, script(l.c.balanced.Practice(north), "/api/echo", l.session))
		if ok && res.StatusCode != http.StatusOK {
			l.t.Errorf("a signed-in request: %s", res.Status)
		}
		l.requests.saw(began, ok && res.StatusCode == http.StatusOK)
	}
}

// signInAt sends the form.
func signInAt(client *http.Client, p harness.Practice, who harness.Account) (harness.Answer, error) {
	res, err := client.Do(probe.Form(p, "/.gate/login", url.Values{"email": {who.Email}, "password": {who.Password}}))
	if err == nil {
		res.Body.Close()
	}
	return harness.Answer{Response: res}, err
}

// signIn signs in again and again, from another address than the others.
func (l *load) signIn() {
	client := probe.Client(l.t, l.c.balanced, "127.0.9.9")
	client.Transport.(*http.Transport).DisableKeepAlives = true
	form := url.Values{"email": {l.who.Email}, "password": {l.who.Password}}
	for ; !l.stopped.Load(); time.Sleep(100 * time.Millisecond) {
		began := time.Now()
		res, ok := l.try(&l.signIns, client, probe.Form(l.c.balanced.Practice(north), "/.gate/login", form))
		session := ""
		if ok {
			if session, _ = probe.Cookie(res, probe.Session); session == "" {
				l.t.Errorf("a sign-in: %s\n%.200s", res.Status, res.Text)
			}
		}
		l.signIns.saw(began, session != "")
		if session != "" {
			l.mu.Lock()
			l.entered = append(l.entered, session)
			l.mu.Unlock()
		}
	}
}

// change adds people by command.
func (l *load) change() {
	for ; !l.stopped.Load(); time.Sleep(500 * time.Millisecond) {
		began := time.Now()
		email := fmt.Sprintf("added-%d@north.test", people.Add(1))
		_, _, code := l.c.try(l.t, password, "user", "add", "--practice", north, "--email", email, "--name", "Added Person",
			"--role", "reception", "--password-file", "-")
		l.changes.saw(began, code == 0)
		if code != 0 {
			l.changes.count(&l.changes.told)
			continue
		}
		l.mu.Lock()
		l.added[email] = true
		l.mu.Unlock()
	}
}

// trespass tries what is not allowed: another role's page, and a session that has ended.
func (l *load) trespass() {
	client := probe.Client(l.t, l.c.balanced, "")
	var w worker
	for ; !l.stopped.Load(); time.Sleep(50 * time.Millisecond) {
		for _, row := range []struct {
			path, session string
			want          int
		}{
			{"/billing/", l.session, http.StatusForbidden}, {"/api/echo", l.revoked, http.StatusUnauthorized},
		} {
			res, ok := l.try(&w, client, script(l.c.balanced.Practice(north), row.path, row.session))
			if ok && res.StatusCode != row.want {
				l.t.Errorf("%s must be refused by %d, and is answered %s", row.path, row.want, res.Status)
			}
		}
	}
}
