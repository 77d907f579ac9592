package command_test

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestWrongUsageExitsWith2AndNamesTheMistake(t *testing.T) {
	state := newState(t)
	in := func(args ...string) []string { return append(args, "--state", state) }
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no such command":       {[]string{"practise", "list"}, `there is no command "practise" (did you mean practice?)`},
		"help of no command":    {[]string{"help", "practise"}, `there is no command "practise" (did you mean practice?)`},
		"no number":             {in("audit", "tail", "-p", "harbour", "-n", "x"), "invalid argument \"x\" for \"-n, --lines\" flag\nSee:"},
		"flag before command":   {[]string{"--state", "x", "practice"}, `a command comes first, not "--state"`},
		"no subcommand":         {[]string{"practice"}, "gateway practice needs a subcommand: apply, export, list, remove, resume, show, suspend"},
		"no such subcommand":    {in("session", "revok"), `has no subcommand`},
		"subcommand suggested":  {[]string{"audit", "verfy"}, "did you mean verify?"},
		"no such flag":          {in("practice", "list", "--verbose"), "unknown flag: --verbose"},
		"no value":              {[]string{"practice", "list", "--state"}, "flag needs an argument: --state"},
		"no installation":       {[]string{"practice", "list"}, "name the installation with --state DIR or --config CADDYFILE"},
		"two installations":     {in("practice", "list", "--config", "Caddyfile"), "give one of them"},
		"an argument too many":  {in("practice", "list", "harbour"), `does not take "harbour"`},
		"an argument too few":   {in("practice", "show"), "gateway practice show needs the id of a practice"},
		"no practice":           {in("user", "list"), "gateway user list needs --practice: id of the practice"},
		"empty practice":        {in("user", "list", "--practice", ""), "--practice is empty"},
		"no practice id":        {in("user", "list", "-p", "Harbour!"), "is no practice id"},
		"nothing to apply":      {in("practice", "apply"), "say which documents to apply: -f FILE"},
		"no email":              {in("user", "add", "-p", "harbour", "--name", "x", "--role", "clinician"), "needs --email"},
		"no terminal":           {in("user", "add", "-p", "harbour", "--email", "x@harbour.test", "--name", "x", "--role", "clinician"), "give --password-file FILE, or - for standard input"},
		"password as a flag":    {in("user", "add", "-p", "harbour", "--password", "secret"), "unknown flag: --password"},
		"no role":               {in("user", "roles", "-p", "harbour", "admin@harbour.test"), "needs --role"},
		"nothing to revoke":     {in("session", "revoke", "-p", "harbour"), "say which sessions to end: one ID, --user PERSON or --all"},
		"two things to revoke":  {in("session", "revoke", "-p", "harbour", "--all", "--user", "x"), "say which sessions to end"},
		"no session id":         {in("session", "revoke", "-p", "harbour", "first"), "is no session id"},
		"no path":               {in("policy", "explain", "-p", "harbour"), "needs --path"},
		"path without slash":    {in("policy", "explain", "-p", "harbour", "--path", "billing"), "does not begin with a slash"},
		"user and role":         {in("policy", "explain", "-p", "harbour", "--path", "/", "--user", "admin@harbour.test", "--role", "clinician"), "a person or roles, not both"},
		"level of nobody":       {in("policy", "explain", "-p", "harbour", "--path", "/", "--level", "aal2"), "needs somebody who has it"},
		"no such level":         {in("policy", "explain", "-p", "harbour", "--path", "/", "--role", "clinician", "--level", "aal9"), "aal9"},
		"no client address":     {in("policy", "explain", "-p", "harbour", "--path", "/", "--client", "here"), `"here" is no client address`},
		"no such version":       {in("policy", "diff", "-p", "harbour", "one"), `"one" is no version`},
		"nothing to simulate":   {in("policy", "simulate", "-p", "harbour"), "needs --file"},
		"no such format":        {in("audit", "export", "-p", "harbour", "--format", "xml"), "unknown export format"},
		"no time":               {in("audit", "export", "-p", "harbour", "--since", "yesterday"), `--since "yesterday" is no time`},
		"until before since":    {in("audit", "export", "-p", "harbour", "--since", "2026-02-01", "--until", "2026-01-01"), "--until is not later than --since"},
		"whose log":             {in("audit", "verify"), "say whose log: --practice ID, or --all"},
		"too many lines":        {in("audit", "tail", "-p", "harbour", "-n", "1000000"), "audit export"},
		"health of nothing":     {[]string{"health"}, "--config CADDYFILE or --state DIR, or an address with --url"},
		"health without scheme": {[]string{"health", "--url", "harbour.localhost"}, "http or https address"},
		"remove unasked":        {in("practice", "remove", "harbour"), "give --yes if you are sure"},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, 2, c.want, "", c.args...) })
	}
}

func TestHelpShowsTheGatewaysCommandsBeforeCaddys(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"help"}, {}} {
		out := do(t, "", args...)
		ours, caddys := strings.Index(out, "  practice "), strings.Index(out, "  run ")
		if ours < 0 || caddys < 0 || ours > caddys || strings.Contains(out, "caddy run") {
			t.Errorf("gateway %v: practice at %d, run at %d\n%s", args, ours, caddys, out)
		}
	}
	for _, args := range [][]string{{"practice", "--help"}, {"help", "user", "add"}, {"version"}} {
		if out := do(t, "", args...); out == "" || strings.Contains(out, "caddyserver.com") {
			t.Errorf("gateway %v prints %q", args, out)
		}
	}
}

// A file's name and its text are somebody else's (THREATS A3).
func TestErrorsCommandNoTerminal(t *testing.T) {
	state := newState(t)
	for name, file := range map[string]string{
		"a file's name":  "\x1b]0;x\x07.yaml",
		"a field's name": write(t, "field.yaml", "\"\\e]0;x\\a\\r\\u202e\": 1\n"),
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"practice", "apply", "--state", state, "-f", file}
			refuses(t, 1, `\x1b]0;x\a`, "", args...)
			if said := run(t, "", args...).err; strings.ContainsAny(said, "\x1b\a\r\u202e") {
				t.Errorf("says %q", said)
			}
		})
	}
}

// A mistyped folder must not become a new, empty installation.
func TestMistypedStateIsRefusedAndNotMade(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "stat")
	refuses(t, 1, "there is no state folder", "", "practice", "list", "--state", folder)
	refuses(t, 1, "there is no state folder", "", "migrate", "--state", folder)
	if found, _ := filepath.Glob(folder); len(found) > 0 {
		t.Error("the folder was made")
	}
	refuses(t, 1, "the master key", "", "practice", "list", "--state", t.TempDir())
	refuses(t, 1, "is not a folder", "", "practice", "list", "--state", write(t, "file", "x"))
}

func TestConfigNamesTheState(t *testing.T) {
	state := newState(t)
	config := write(t, "config.json", `{"apps":{"clinicgate":{"state":"`+state+`"}}}`)
	if got := doJSON(t, "practice", "list", "--config", config)["practices"].([]any); len(got) != 2 {
		t.Errorf("got %v, want two practices", got)
	}
	refuses(t, 1, "no clinicgate block", "", "practice", "list", "--config", write(t, "other.json", `{"apps":{}}`))
	refuses(t, 1, "reading the Caddyfile", "", "practice", "list", "--config", filepath.Join(t.TempDir(), "none"))
}
