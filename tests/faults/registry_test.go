package faults_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"clinicgate/tests/probe"
)

// The registry's disk is full, the practices' is not. Reading the registry is enough for
// a sign-in: people get in, each of them recorded. What other processes must learn of,
// and what belongs into the registry, fails with a word about it; and somebody is told
// that the audit logs have no witness in the registry until there is room.
func TestRegistryDiskFull(t *testing.T) {
	t.Parallel()
	dir, mounted := small(t)
	practices := filepath.Join(dir, "practices")
	if err := os.MkdirAll(practices, 0o700); err != nil {
		t.Fatal(err)
	}
	if !mounted || syscall.Mount(t.TempDir(), practices, "", syscall.MS_BIND, "") != nil {
		t.Log("only root may mount: nothing was filled")
		return
	}
	t.Cleanup(func() { _ = syscall.Unmount(practices, syscall.MNT_DETACH) })
	o := newOutage(t, dir)
	free := probe.FillDisk(t, dir)
	who := o.p.Account("clinician")
	letIn := 0
	probe.Eventually(t, 60*time.Second, "the alarm about heads without a witness", func() bool {
		res, err := signIn(t, o.client, o.p, who)
		if err != nil || sessionOf(res) == "" {
			t.Fatalf("signing in: %v %v\n%s", res, err, o.g.Log())
		}
		letIn++
		return probe.Metric(t, o.g, "clinicgate_audit_uncopied_total") > 0
	})
	if !strings.Contains(o.g.Log(), `"msg":"audit heads could not be copied to the registry"`) {
		t.Error("no line in the log")
	}
	if res := probe.Send(t, o.client, script(o.p, "/api/echo", o.session)); res.StatusCode != http.StatusOK {
		t.Errorf("who is signed in: %s, want to go on", res.Status)
	}
	for what, args := range map[string][]string{
		"disabling somebody": {"user", "disable", who.Email, "--practice", "acacia"},
		"suspending":         {"practice", "suspend", "acacia"},
	} {
		if _, errs, code := o.g.Run(t, args...); code != 1 || !strings.Contains(errs, "gateway: ") {
			t.Errorf("%s: exit %d, want 1 and a sentence: %s", what, code, errs)
		}
	}
	free()
	probe.Must(t, o.g, "user", "disable", who.Email, "--practice", "acacia") // tells again
	probe.Eventually(t, 20*time.Second, "the disabled person's session ends", func() bool {
		return probe.Send(t, o.client, script(o.p, "/api/echo", o.session)).StatusCode == http.StatusUnauthorized
	})
	probe.Eventually(t, 20*time.Second, "the registry has the heads", func() bool {
		return !strings.Contains(probe.Must(t, o.g, "audit", "verify", "--practice", "acacia"), "note:")
	})
	sound(t, o.g)
	recorded := 0
	for _, n := range signedIn(t, o.g, "acacia") {
		recorded += n
	}
	if recorded != letIn+1 {
		t.Errorf("%d sign-ins in the log, %d were let in", recorded, letIn+1)
	}
}
