// Package boundary_test attacks the header boundary, the streams and the last room
// before the backend of the running binary (THREATS H and Z).
package boundary_test

import (
	"os"
	"testing"

	"clinicgate/tests/boundary/rig"
	"clinicgate/tests/harness"
)

// gate is the one demo that tests share; each of its people signs in once.
var (
	gate     *harness.Gateway
	sessions rig.Sessions
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m, &gate)) }

// protocols are those of which every promise is tried.
var protocols = []string{"h1", "h2", "h3"}

// admin is a request of harbour's signed-in admin.
func admin(t testing.TB, protocol string, header ...rig.Field) rig.Request {
	t.Helper()
	return rig.Request{
		Protocol: protocol, Host: rig.Host(gate, "harbour"),
		Cookie: sessions.Of(t, gate, "harbour", "admin"), Header: header,
	}
}

// nobody is a request to a public path of harbour.
func nobody(protocol, target string, header ...rig.Field) rig.Request {
	return rig.Request{Protocol: protocol, Host: rig.Host(gate, "harbour"), Target: target, Header: header}
}
