package directive_test

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// global are the options that every Caddyfile here begins with: 8 lines.
const global = `{
	clinicgate {
		state /var/lib/clinicgate
	}
	on_demand_tls {
		permission practice
	}
}
`

// adapt reads a Caddyfile as `gateway run` does.
func adapt(text string) (string, error) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	return string(adapted), err
}

const (
	whole = "practice_gateway takes the whole site: "
	first = "practice_gateway must be the first of all directives: remove `order"
)

// TestMistakesInASiteAreNamed with what is wrong, where, and what to do. The site's
// address stands in line 9, what it holds from line 10 on.
func TestMistakesInASiteAreNamed(t *testing.T) {
	for name, row := range map[string]struct{ site, want, where string }{
		"unknown option":        {"practice_gateway {\nspeed high\n}", `unknown option "speed": practice_gateway has dial_timeout, response_timeout, backend_health and backend_tls`, "11"},
		"option of a proxy":     {"practice_gateway {\nto 127.0.0.1:9000\n}", `unknown option "to": practice_gateway has`, "11"},
		"option twice":          {"practice_gateway {\ndial_timeout 1s\ndial_timeout 2s\n}", "dial_timeout stands twice: remove one of the two", "12"},
		"block twice":           {"practice_gateway {\nbackend_tls\nbackend_tls {\n}\n}", "backend_tls stands twice: remove one", "12"},
		"name twice":            {"practice_gateway {\nbackend_tls {\nserver_name a\nserver_name b\n}\n}", "server_name stands twice: remove one", "13"},
		"word for a duration":   {"practice_gateway {\ndial_timeout soon\n}", `dial_timeout: "soon" is not a duration above zero, such as 5s or 1m`, "11"},
		"number alone":          {"practice_gateway {\ndial_timeout 5\n}", `dial_timeout: "5" is not a duration`, "11"},
		"below zero":            {"practice_gateway {\ndial_timeout -5s\n}", `dial_timeout: "-5s" is not a duration above zero`, "11"},
		"empty duration":        {"practice_gateway {\ndial_timeout \"\"\n}", `dial_timeout: "" is not a duration`, "11"},
		"no duration":           {"practice_gateway {\nresponse_timeout\n}", "response_timeout takes one duration such as 5s", "11"},
		"two durations":         {"practice_gateway {\nresponse_timeout 1s 2s\n}", "response_timeout takes one duration such as 5s", "11"},
		"duration later":        {"practice_gateway {\ndial_timeout {env.DIAL}\n}", `dial_timeout: "{env.DIAL}" is not a duration`, "11"},
		"block of a duration":   {"practice_gateway {\ndial_timeout 1s {\nx\n}\n}", "the option of this line takes no block: remove the braces", "11"},
		"block of a name":       {"practice_gateway {\nbackend_tls {\nserver_name a {\nx\n}\n}\n}", "the option of this line takes no block: remove the braces", "12"},
		"TLS off":               {"practice_gateway {\nbackend_tls off\n}", `backend_tls takes a block, not "off"`, "11"},
		"TLS unchecked":         {"practice_gateway {\nbackend_tls {\ntls_insecure_skip_verify\n}\n}", "backend_tls: \"tls_insecure_skip_verify\" does not stand here like that: it has `ca FILE…`", "12"},
		"certificate alone":     {"practice_gateway {\nbackend_tls {\nclient_cert a.pem\n}\n}", `backend_tls: "client_cert" does not stand here like that`, "12"},
		"no roots":              {"practice_gateway {\nbackend_tls {\nca\n}\n}", `backend_tls: "ca" does not stand here like that`, "12"},
		"empty name":            {"practice_gateway {\nbackend_tls {\nserver_name \"\"\n}\n}", "server_name: the value is empty: write one or remove the line", "12"},
		"name of the request":   {"practice_gateway {\nbackend_tls {\nserver_name {host}\n}\n}", `server_name: "{http.request.host}" is a placeholder, which is not expanded here: write the value, or {$NAME}`, "12"},
		"file later":            {"practice_gateway {\nbackend_tls {\nca {env.CA}\n}\n}", `ca: "{env.CA}" is a placeholder`, "12"},
		"path":                  {"practice_gateway /clinical/*", whole + `remove the argument "/clinical/*" and put options into a block`, "10"},
		"matcher":               {"@a path /a\npractice_gateway @a", whole + `remove the argument "@a"`, "11"},
		"every path":            {"practice_gateway *", whole + `remove the argument "*"`, "10"},
		"in handle":             {"handle {\npractice_gateway\n}", whole + "move it out of the block that it stands in (handle, route …)", "11"},
		"in handle for a path":  {"handle /clinical/* {\npractice_gateway\n}", whole + "move it out", "11"},
		"in handle_path":        {"handle_path /clinical/* {\npractice_gateway\n}", whole + "move it out", "11"},
		"in route":              {"route {\nuri strip_prefix /x\npractice_gateway\n}", whole + "move it out", "12"},
		"in handle in route":    {"route {\nhandle {\npractice_gateway\n}\n}", whole + "move it out", "12"},
		"among the errors":      {"practice_gateway\nhandle_errors {\npractice_gateway\n}", whole + "move it out", "12"},
		"in a proxy":            {"reverse_proxy 127.0.0.1:9000 {\npractice_gateway\n}", "unrecognized subdirective practice_gateway", "11"},
		"another case":          {"Practice_Gateway", "unrecognized directive: Practice_Gateway", "10"},
		"another spelling":      {"practise_gateway", "unrecognized directive: practise_gateway", "10"},
		"clinicgate for a site": {"clinicgate {\nstate /x\n}", "unrecognized directive: clinicgate", "10"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, global+"https:// {\n"+row.site+"\n}\n", row.want, row.where)
		})
	}
}

func refused(t *testing.T, text, want, where string) {
	t.Helper()
	adapted, err := adapt(text)
	if err == nil {
		t.Fatalf("accepted: %s", adapted)
	}
	if got := err.Error(); !strings.Contains(got, want) || !strings.Contains(got, "Caddyfile:"+where) {
		t.Errorf("got  %s\nwant %s … Caddyfile:%s", got, want, where)
	}
}

// TestMistakesAroundASiteAreNamed likewise.
func TestMistakesAroundASiteAreNamed(t *testing.T) {
	const site = "https:// {\npractice_gateway\n}\n"
	with := func(old, new string) string { return strings.Replace(global, old, new, 1) }
	for name, row := range map[string]struct{ text, want, where string }{
		"nothing of ours":      {site, "practice_gateway: clinicgate is missing among the global options: write `clinicgate {` `state DIR` `}` there", "2"},
		"after the rest":       {with("{\n", "{\norder practice_gateway last\n") + site, first, "11"},
		"something before":     {with("{\n", "{\norder respond first\n") + site, first, "11"},
		"another permission":   {with("permission practice", "ask http://127.0.0.1:5555/ask") + site, "practice_gateway: certificates are for practices' hosts alone: write `permission practice` into on_demand_tls", "10"},
		"no permission":        {with("permission practice", "") + site, "expected at least one config parameter for on_demand_tls", "7"},
		"permission of all":    {with("permission practice", "permission practice all") + site, `permission practice takes no options, not "all"`, "6"},
		"no folder":            {with("state /var/lib/clinicgate", "") + site, "clinicgate: state is missing: name the folder for the databases", "4"},
		"folder of nothing":    {with("/var/lib/clinicgate", `""`) + site, "state: the value is empty: write one or remove the line", "3"},
		"two folders":          {with("state /var", "state /srv /var") + site, "state takes one path", "3"},
		"folder later":         {with("/var/lib/clinicgate", "{env.STATE}") + site, `state: "{env.STATE}" is a placeholder`, "3"},
		"block of the folder":  {with("state /var", "state /var {\n}\nmaster_key /var") + site, "the option of this line takes no block", "3"},
		"among the options":    {"{\npractice_gateway\n}\n", "unrecognized global option: practice_gateway", "2"},
		"outside of all sites": {"practice_gateway\n", "directives must appear in a site block", "1"},
		"not closed":           {global + "https:// {\npractice_gateway {\n", "unexpected EOF", "10"},
		"one line":             {global + "https:// {\npractice_gateway { dial_timeout 3s }\n}\n", "Unexpected next token after '{' on same line", "10"},
		"no such snippet":      {global + "https:// {\nimport gate\n}\n", "File to import not found: gate", "10"},
		"snippet":              {global + "(gate) {\npractice_gateway {\ndial_timeout {args[0]}\n}\n}\nhttps:// {\nimport gate soon\n}\n", `dial_timeout: "soon" is not a duration`, "11 import chain ['Caddyfile:15 (import gate)']"},
		"snippet in handle":    {global + "(gate) {\npractice_gateway\n}\nhttps:// {\nhandle {\nimport gate\n}\n}\n", whole + "move it out", "10 import chain ['Caddyfile:14 (import gate)']"},
		"named route":          {global + "&(gate) {\npractice_gateway\n}\nhttps:// {\ninvoke gate\n}\n", whole + "move it out", "10"},
		"second site, handle":  {global + site + "https://b.example.org {\nhandle {\npractice_gateway\n}\n}\n", whole + "move it out", "14"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, row.text, row.want, row.where) })
	}
}

// TestSitesThatWork: one chain for each site, and nothing before it.
func TestSitesThatWork(t *testing.T) {
	for name, row := range map[string]struct {
		text   string
		chains int
	}{
		"any host":        {"https:// {\npractice_gateway\n}\n", 1},
		"named hosts":     {"a.example.org, b.example.org {\npractice_gateway\n}\n", 1},
		"two sites":       {"a.example.org {\npractice_gateway\n}\nb.example.org {\npractice_gateway {\ndial_timeout 1s\n}\n}\n", 2},
		"wildcard":        {"*.example.org {\npractice_gateway\n}\n", 1},
		"another port":    {"https://:8443 {\npractice_gateway\n}\n", 1},
		"plain HTTP":      {"http:// {\npractice_gateway\n}\n", 1},
		"both":            {"https:// {\npractice_gateway\n}\nhttp:// {\npractice_gateway\n}\n", 2},
		"snippet":         {"(gate) {\npractice_gateway {\ndial_timeout {args[0]}\n}\n}\nhttps:// {\nimport gate 5s\n}\n", 1},
		"environment":     {"https:// {\npractice_gateway {\ndial_timeout {$NO_SUCH_VARIABLE:5s}\n}\n}\n", 1},
		"empty block":     {"https:// {\npractice_gateway {\n}\n}\n", 1},
		"beside a proxy":  {"https:// {\nreverse_proxy 127.0.0.1:9000\npractice_gateway\n}\n", 1},
		"beside a folder": {"https:// {\nroot * /srv\nfile_server\nhandle /x {\nrespond hello\n}\npractice_gateway\n}\n", 1},
	} {
		t.Run(name, func(t *testing.T) {
			adapted, err := adapt(global + row.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(adapted, `{"handler":"practice"}`); got != row.chains {
				t.Errorf("got %d chains, want %d: %s", got, row.chains, adapted)
			}
			for _, other := range []string{`"handler":"static_response"`, `"handler":"file_server"`, `"handler":"vars"`, `"127.0.0.1:9000"`} {
				if at := strings.Index(adapted, other); at >= 0 && at < strings.Index(adapted, `{"handler":"practice"}`) {
					t.Errorf("%s stands before the gateway: %s", other, adapted)
				}
			}
		})
	}
}
