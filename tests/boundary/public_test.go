package boundary_test

import (
	"strings"
	"sync"
	"testing"

	"clinicgate/tests/boundary/rig"
	"clinicgate/tests/harness"
)

// withPublicEcho makes /api/echo of acacia public, once.
func withPublicEcho(t *testing.T) *harness.Gateway {
	t.Helper()
	publicEcho.Do(func() {
		document := rig.Document(t, "acacia",
			"{path: /booking/*, public: true}", "{path: /api/echo, public: true}",
			"127.0.0.1:9000", strings.TrimPrefix(gate.Backend, "http://"))
		rig.Apply(t, gate, document, rig.Host(gate, "acacia"), "/api/echo", 200)
	})
	return gate
}

var publicEcho sync.Once
