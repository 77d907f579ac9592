package auditlog_test

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"clinicgate/tests/harness"
	"clinicgate/tests/probe"
)

// A5: a whole day's secrets, and then everything that anybody can read of the gateway.
func TestNoSecretStandsAnywhere(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	g := harness.StartIn(t, state)
	loud(t, g)
	secrets := day(t, g)
	master, err := os.ReadFile(filepath.Join(state, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	secrets["master key"] = strings.TrimSpace(string(master))

	shown := map[string]string{"log at level DEBUG": g.Log()}
	for _, path := range []string{"/metrics", "/config/", "/debug/vars", "/debug/pprof/goroutine?debug=2", "/debug/pprof/cmdline", "/debug/pprof/allocs?debug=1", "/reverse_proxy/upstreams", "/pki/ca/local"} {
		_, shown["admin "+path] = probe.Admin(t, g, http.MethodGet, path, "")
	}
	for _, practice := range []string{"harbour", "acacia"} {
		for _, args := range [][]string{
			{"audit", "export", "--format", "jsonl"}, {"audit", "export", "--format", "csv"}, {"audit", "tail"}, {"session", "list", "--json"}, {"user", "list", "--json"},
		} {
			shown[practice+": gateway "+strings.Join(args, " ")] = probe.Must(t, g, append(args, "--practice", practice)...)
		}
	}
	g.Stop()
	shown["log after the end"] = g.Log()
	for name, text := range files(t, state) {
		shown["file "+name] = text
	}
	for where, text := range shown {
		for what, secret := range secrets {
			if strings.HasPrefix(where, "file ") && (what == "master key" || strings.Contains(where, "demo.json")) {
				continue // master.key itself, and the demo's own list of accounts
			}
			if strings.Contains(text, secret) {
				t.Errorf("%s stands in %s", what, where)
			}
		}
	}
	if !strings.Contains(shown["log at level DEBUG"], `"level":"debug"`) {
		t.Error("the log was not at level DEBUG, so this test proves little")
	}
}

// loud has the gateway log at level DEBUG, as `debug` among the global options does.
func loud(t *testing.T, g *harness.Gateway) {
	t.Helper()
	_, config := probe.Admin(t, g, http.MethodGet, "/config/", "")
	louder := strings.Replace(config, `"level":"WARN"`, `"level":"DEBUG"`, 1)
	if louder == config {
		t.Fatal("the log level could not be raised")
	}
	if status, text := probe.Admin(t, g, http.MethodPost, "/load", louder); status != http.StatusOK {
		t.Fatalf("raising the log level: %d %s", status, text)
	}
}

// day signs people in and out in every way there is and returns the secrets that went by.
func day(t *testing.T, g *harness.Gateway) map[string]string {
	t.Helper()
	p := g.Practice("harbour")
	b := g.Browser(t, "h1")
	who := p.Account("admin")
	const typo, patient = "canary-wrong-password-5521", "canary-patient-name-9931"
	secrets := map[string]string{"password": who.Password, "TOTP secret": who.TOTPSecret, "wrong password": typo}
	keep := func(what string, res harness.Answer) {
		for _, c := range res.Cookies() {
			if c.Value != "" {
				secrets[what+" "+c.Name] = c.Value
			}
		}
	}
	b.Post(p.URL+"/.gate/login", url.Values{"email": {who.Email}, "password": {typo}})
	keep("first", b.Post(p.URL+"/.gate/login", url.Values{"email": {who.Email}, "password": {who.Password}}))
	code := b.Code(who.TOTPSecret)
	keep("second", b.Post(p.URL+"/.gate/login/totp", url.Values{"code": {code}}))
	secrets["patient"] = patient
	echo := b.Fetch(http.MethodGet, p.URL+"/api/echo?name="+patient, nil)
	if values, _ := echo.JSON(t)["headers"].(map[string]any)["X-Gate-Assertion"].([]any); len(values) == 1 {
		secrets["assertion"], _ = values[0].(string)
	}
	b.Get(p.URL + "/nothing-here?name=" + patient)
	b.Get(p.URL + "/stepup?always=1&name=" + patient)
	page := b.Get(p.URL + "/.gate/enrol/totp")
	if _, rest, found := strings.Cut(page.Text, "secret="); found {
		secrets["shown TOTP key"] = rest[:strings.IndexAny(rest, "&\"")]
	}
	b.Post(p.URL+"/.gate/enrol/totp", url.Values{"code": {"000000"}})
	keep("third", b.Post(p.URL+"/.gate/login/totp?rd=/x", url.Values{"code": {b.Code(who.TOTPSecret)}}))
	b.Post(p.URL+"/.gate/logout", url.Values{})
	// A password in the wrong field, as it happens every morning.
	b.Post(p.URL+"/.gate/login", url.Values{"email": {typo}, "password": {"x"}})
	req := probe.Page(p, "/x?name="+patient, "__Host-gate=s1.canary-forged-session-cookie-0000000000000000")
	req.Header.Set("Authorization", "Bearer canary-bearer-token-1122")
	secrets["bearer token"], secrets["forged cookie"] = "canary-bearer-token-1122", "canary-forged-session-cookie"
	probe.Send(t, probe.Client(t, g, ""), req)
	return secrets
}

// files are the contents of the state folder.
func files(t *testing.T, state string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(state, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		found[strings.TrimPrefix(path, state)] = string(bytes.ToValidUTF8(content, nil))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
