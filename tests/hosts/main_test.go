// Package hosts_test attacks the choice of the practice and the client's address
// (THREATS T1, T2 and X), against the running binary.
package hosts_test

import (
	"os"
	"strings"
	"testing"

	"clinicgate/tests/boundary/rig"
	"clinicgate/tests/harness"
)

var (
	gate     *harness.Gateway
	sessions rig.Sessions
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m, &gate)) }

// port is the one that the demo listens on, with its colon.
func port(g *harness.Gateway) string { return g.Addr[strings.LastIndex(g.Addr, ":"):] }
