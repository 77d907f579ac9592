// Package paths_test attacks the rules of a policy with spellings of paths and
// methods (THREATS P), against the running binary.
package paths_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"clinicgate/tests/boundary/rig"
	"clinicgate/tests/harness"
)

var (
	gate     *harness.Gateway
	sessions rig.Sessions
	rules    sync.Once
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m, &gate)) }

// policy has every kind of rule: open to all with everything below and alone, roles,
// and step-ups that nobody here can satisfy.
const policy = `access:
  - {path: /booking/*, public: true}
  - {path: /pub/*, public: true}
  - {path: /pki, public: true}
  - {path: /admin/*, roles: [practice_admin]}
  - {path: /reports/*, roles: [billing]}
  - {path: /billing/*, roles: [billing, practice_admin]}
step_up:
  - {path: /vault/*, level: aal2-pr, max_age: 10m}
  - {path: /prescriptions/*, methods: [POST], level: aal2-pr, max_age: 10m}
`

// started applies the policy once.
func started(t *testing.T) string {
	t.Helper()
	host := rig.Host(gate, "harbour")
	rules.Do(func() {
		document, _, _ := strings.Cut(rig.Document(t, "harbour",
			"127.0.0.1:9000", strings.TrimPrefix(gate.Backend, "http://"), "accept: [totp]", "accept: [totp, passkey]"), "access:")
		rig.Apply(t, gate, document+policy, host, "/pki", 404)
	})
	return host
}

// as is a request of one of harbour's people, "" for nobody.
func as(t *testing.T, who, method, target string) rig.Request {
	t.Helper()
	request := rig.Request{Host: started(t), Method: method, Target: target}
	if who != "" {
		request.Cookie = sessions.Of(t, gate, "harbour", who)
	}
	return request
}

// reached requires that a request was answered by the backend, whatever it says.
func reached(t *testing.T, request rig.Request) {
	t.Helper()
	before := gate.Hits(t, "")
	answer := rig.Send(t, gate, request)
	answer.CheckHSTS(t)
	if got := gate.Hits(t, "") - before; got != 1 {
		t.Errorf("%s: status %d, reached the backend %d times, want once", fmt.Sprintf("%s %.60q", request.Method, request.Target), answer.Status, got)
	}
}
