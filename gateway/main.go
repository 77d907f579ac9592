// Command gateway is Clinicgate: Caddy with the gateway's modules, and the commands
// that operators and reviewers work with.
package main

import (
	"github.com/caddyserver/caddy/v2"

	"clinicgate/gateway/command"
	"clinicgate/gateway/hashing"
	_ "clinicgate/modules/standard"
)

func main() {
	hashing.Main() // a process that was started to hash passwords does that, and nothing else
	caddy.CustomBinaryName = "gateway"
	caddy.CustomLongDescription = "Clinicgate is the security gateway in front of a clinical web platform.\n\n" +
		"Try it:   gateway demo\nRun it:   gateway run --config /etc/clinicgate/Caddyfile"
	command.Main()
}
