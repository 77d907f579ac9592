package faults_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// small is a state folder on a disk of its own of 24 MiB. Only root may mount; others
// get a plain folder and ok false.
func small(t *testing.T) (dir string, ok bool) {
	t.Helper()
	dir = t.TempDir()
	if syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size=24m") != nil {
		return dir, false
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir, true
}

// outage is a gateway with somebody signed in, before and while its disk fails.
type outage struct {
	g       *harness.Gateway
	p       harness.Practice
	session string
	client  *http.Client
}

func newOutage(t *testing.T, dir string) *outage {
	t.Helper()
	o := &outage{g: harness.StartIn(t, dir)}
	o.p, o.client = o.g.Practice("acacia"), probe.Client(t, o.g, "")
	res, err := signIn(t, o.client, o.p, o.p.Account("clinician"))
	if err != nil || sessionOf(res) == "" {
		t.Fatalf("signing in: %v %v", res, err)
	}
	o.session = sessionOf(res)
	return o
}

// fails waits until sign-ins are answered 503 (a few still fit into what the database
// has set aside), and counts those that were let in.
func (o *outage) fails(t *testing.T) (letIn int) {
	t.Helper()
	admin := o.p.Account("clinician")
	probe.Eventually(t, 60*time.Second, "sign-ins are answered 503", func() bool {
		res, err := signIn(t, o.client, o.p, admin)
		if err != nil {
			t.Fatalf("the gateway is gone: %v\n%s", err, o.g.Log())
		}
		if sessionOf(res) != "" {
			letIn++
			return false
		}
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || len(res.Header["Set-Cookie"]) > 0 {
			t.Fatalf("%s, Retry-After %q, cookies %q", res.Status, res.Header.Get("Retry-After"), res.Header["Set-Cookie"])
		}
		return true
	})
	if res := probe.Send(t, o.client, script(o.p, "/api/echo", o.session)); res.StatusCode != http.StatusOK {
		t.Errorf("who is signed in: %s, want to go on", res.Status)
	}
	if res := probe.Send(t, o.client, probe.Form(o.p, "/.gate/logout", nil, probe.Session+"="+o.session)); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("signing out: %s, want 503: it was not done", res.Status)
	}
	if _, _, code := o.g.Run(t, "user", "disable", "admin@acacia.test", "--even-last-admin", "--practice", "acacia"); code == 0 {
		t.Error("the command line says that it was done")
	}
	alarmed(t, o.g)
	return letIn
}

// recovers checks that everything works again without a restart, and that nothing was
// half written: as many sessions as were let in, each of them in the log.
func (o *outage) recovers(t *testing.T, before int) {
	t.Helper()
	probe.Eventually(t, 20*time.Second, "signing in works again", func() bool {
		res, err := signIn(t, o.client, o.p, o.p.Account("clinician"))
		return err == nil && sessionOf(res) != ""
	})
	if res := probe.Send(t, o.client, script(o.p, "/api/echo", o.session)); res.StatusCode != http.StatusOK {
		t.Errorf("the session from before: %s", res.Status)
	}
	sound(t, o.g)
	sessions := probe.Must(t, o.g, "session", "list", "--practice", "acacia", "--json")
	if got, want := count(sessions, `"id":`), before+2; got != want {
		t.Errorf("%d sessions, want %d: the first, %d while it failed, the last", got, want, before)
	}
	recorded := 0
	for _, n := range signedIn(t, o.g, "acacia") {
		recorded += n
	}
	if recorded < before+2 {
		t.Errorf("%d sign-ins in the log, %d were let in", recorded, before+2)
	}
}

func count(text, part string) (n int) {
	for i := 0; i+len(part) <= len(text); i++ {
		if text[i:i+len(part)] == part {
			n++
		}
	}
	return n
}

// The disk is full: 503 and an alarm, nothing half written, and no restart needed.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir, mounted := small(t)
	o := newOutage(t, dir)
	if !mounted {
		t.Log("only root may mount a small disk: nothing was filled")
		return
	}
	free := probe.FillDisk(t, dir)
	letIn := o.fails(t)
	free()
	o.recovers(t, letIn)
}

// The folder of the practices is read-only, as after a disk error: the same. The
// gateway has no database open yet when it happens, so even who is signed in is told
// to come back, and keeps the cookie (THREATS C10).
func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := newOutage(t, dir)
	o.g.Stop()
	o.g = harness.StartIn(t, dir)
	o.p, o.client = o.g.Practice("acacia"), probe.Client(t, o.g, "")
	practices := filepath.Join(dir, "practices")
	if err := syscall.Mount(practices, practices, "", syscall.MS_BIND, ""); err != nil {
		t.Log("only root may mount: nothing was made read-only")
		return
	}
	writable := func() { _ = syscall.Unmount(practices, syscall.MNT_DETACH) }
	t.Cleanup(writable)
	if err := syscall.Mount("", practices, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for name, req := range map[string]*http.Request{
		"signed in": script(o.p, "/api/echo", o.session),
		"logout":    probe.Form(o.p, "/.gate/logout", nil, probe.Session+"="+o.session),
		"sign-in":   probe.Form(o.p, "/.gate/login", url.Values{"email": {"admin@acacia.test"}, "password": {"wrong-password-0000"}}),
	} {
		res := probe.Send(t, o.client, req)
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || len(res.Header["Set-Cookie"]) > 0 {
			t.Errorf("%s: %s, Retry-After %q, cookies %q, want 503", name, res.Status, res.Header.Get("Retry-After"), res.Header["Set-Cookie"])
		}
	}
	if _, _, code := o.g.Run(t, "user", "disable", "clinician@acacia.test", "--practice", "acacia"); code == 0 {
		t.Error("the command line says that it was done")
	}
	alarmed(t, o.g)
	writable()
	o.recovers(t, 0)
}
