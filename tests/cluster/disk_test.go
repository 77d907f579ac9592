package cluster_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// The disk with one practice's database is full. That practice's sign-ins are told to come back, who
// is signed in there works on, and no other practice notices.
func TestDiskIsFullForOnePractice(t *testing.T) {
	c := running(t)
	disk := c.postgres.path("small")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	size := "mode=0700,size=16m"
	if credential := c.postgres.run.Credential; credential != nil {
		size += fmt.Sprintf(",uid=%d,gid=%d", credential.Uid, credential.Gid)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, size); err != nil {
		t.Log("only root may mount a small disk: nothing was filled")
		return
	}
	atEnd.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	const south = "south"
	c.command(t, document(south, c.clinical, "report", "5m"), "practice", "apply", "-f", "-")
	c.postgres.exec(t, "CREATE TABLESPACE small LOCATION '"+disk+"'")
	c.postgres.exec(t, "ALTER DATABASE clinic_south ALLOW_CONNECTIONS false")
	c.postgres.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'clinic_south'")
	c.postgres.exec(t, "ALTER DATABASE clinic_south SET TABLESPACE small")
	c.postgres.exec(t, "ALTER DATABASE clinic_south ALLOW_CONNECTIONS true")
	who := c.person(t, south)
	p := harness.Practice{ID: south, URL: "https://south.clinic.test"}
	client := probe.Client(t, c.balanced, "127.0.9.11")
	client.Transport.(*http.Transport).DisableKeepAlives = true
	l := work(t, c)
	signIn := func() (session string, err error) {
		res, err := signInAt(client, p, who)
		if err != nil {
			return "", err
		}
		session, found := probe.Cookie(res, probe.Session)
		switch {
		case found:
			return session, nil
		case res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "":
			t.Errorf("a sign-in at the practice with the full disk: %s", res.Status)
		}
		return "", errors.New(res.Status)
	}
	first, err := signIn()
	if err != nil {
		t.Fatal(err)
	}
	entered := []string{first}
	free := probe.FillDisk(t, disk)
	eventually(t, wait, "the disk is full for sign-ins", func() error { // free pages are used up first
		session, err := signIn()
		if err != nil {
			return nil
		}
		entered = append(entered, session)
		return errors.New("it is not")
	})
	for range 10 {
		res := probe.Send(t, client, script(p, "/api/echo", first))
		if res.StatusCode != http.StatusOK {
			t.Errorf("who is signed in at the practice: %s", res.Status)
		}
		if session, err := signIn(); err == nil {
			entered = append(entered, session)
		}
	}
	l.goesOn(wait)
	if l.requests.told+l.signIns.told > 0 {
		t.Error("another practice noticed")
	}
	free()
	eventually(t, wait, "sign-ins go on", func() error { _, err := signIn(); return err })
	for i, session := range entered {
		if res := probe.Send(t, client, script(p, "/api/echo", session)); res.StatusCode != http.StatusOK {
			t.Errorf("acknowledged session %d of %d: %s", i, len(entered), res.Status)
		}
	}
	t.Logf("%d sign-ins were acknowledged", len(entered))
	l.alive()
	l.finish()
}
