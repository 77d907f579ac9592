// Package protocol_test attacks the protocols themselves (THREATS D): where a request
// ends, how slow, large or many it may be, against the running binary.
package protocol_test

import (
	"os"
	"testing"

	"clinicgate/tests/boundary/rig"
	"clinicgate/tests/harness"
)

var (
	gate     *harness.Gateway
	sessions rig.Sessions
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m, &gate)) }

func host() string { return rig.Host(gate, "harbour") }
