package command

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// Main runs the program. It does what Caddy's Main does, with a first page of help that
// shows the gateway's commands, and with exit code 2 for a command that does not exist.
func Main() {
	if caddy.CustomBinaryName == "" {
		caddy.CustomBinaryName = "gateway"
	}
	if code, done := firstPage(os.Args[1:], os.Stdout, os.Stderr); done {
		exit(code)
		return
	}
	caddycmd.Main()
}

// ours are the gateway's commands in the order in which they are met.
var ours = []string{"demo", "keys", "practice", "user", "session", "policy", "audit", "backup", "migrate", "health"}

// daily are Caddy's commands that operators of the gateway use.
var daily = []string{"run", "validate", "reload", "stop", "adapt", "fmt", "version"}

// firstPage answers what is not for one of the commands.
func firstPage(args []string, out, errs io.Writer) (code int, done bool) {
	known := slices.Concat([]string{"help", "completion"}, slices.Collect(maps.Keys(caddycmd.Commands())))
	switch {
	case len(args) == 0, len(args) == 1 && slices.Contains([]string{"help", "-h", "--help"}, args[0]):
		printHelp(out)
		return 0, true
	case len(args) == 2 && args[0] == "help" && !slices.Contains(known, args[1]):
		slices.Sort(known)
		complain(errs, fmt.Errorf("there is no command %.40q%s", args[1], meant(args[1], known)))
	case slices.Contains(known, args[0]), args[0] == "--version", args[0] == "-v", strings.HasPrefix(args[0], "__complete"):
		return 0, false
	case strings.HasPrefix(args[0], "-"):
		complain(errs, fmt.Errorf("a command comes first, not %.40q", args[0]))
	default:
		slices.Sort(known)
		complain(errs, fmt.Errorf("there is no command %.40q%s", args[0], meant(args[0], known)))
	}
	fmt.Fprintln(errs, "See: gateway --help")
	return exitUsage, true
}

func printHelp(w io.Writer) {
	fmt.Fprint(w, `Clinicgate is the security gateway in front of a clinical web platform.

  Try it   gateway demo
  Run it   gateway run --config /etc/clinicgate/Caddyfile

`)
	commands := caddycmd.Commands()
	list := func(title string, names []string) {
		fmt.Fprintln(w, title)
		columns := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		for _, name := range names {
			if c, ok := commands[name]; ok {
				fmt.Fprintf(columns, "  %s\t%s\n", name, c.Short)
			}
		}
		columns.Flush()
		fmt.Fprintln(w)
	}
	list("The gateway:", ours)
	list("The server (Caddy):", daily)
	var rest []string
	for _, name := range slices.Sorted(maps.Keys(commands)) {
		if !slices.Contains(ours, name) && !slices.Contains(daily, name) {
			rest = append(rest, name)
		}
	}
	fmt.Fprintf(w, "More of Caddy's: %s\n\n", strings.Join(rest, ", "))
	fmt.Fprint(w, `Commands find the installation by --state DIR or --config CADDYFILE, work while the gateway
serves, and print JSON with --json. They exit with 0 when done, 1 when refused, 2 when called wrongly.
More about one:  gateway COMMAND --help
`)
}
