package command_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"clinicgate/gateway/loopback"
)

// program is the gateway's real binary: $GATEWAY_BINARY, or built once.
var program = sync.OnceValues(func() (string, error) {
	if binary := os.Getenv("GATEWAY_BINARY"); binary != "" {
		return binary, nil
	}
	folder, err := os.MkdirTemp("", "gateway-binary-")
	if err != nil {
		return "", err
	}
	built = folder
	binary := filepath.Join(folder, "gateway")
	cmd := exec.Command("go", "build", "-o", binary, "clinicgate/gateway")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", &buildError{string(out)}
	}
	return binary, nil
})

// built is the folder to remove at the end.
var built string

type buildError struct{ out string }

func (e *buildError) Error() string { return "building the gateway: " + e.out }

// served is a demo that serves from a state folder.
type served struct {
	t         *testing.T
	binary    string
	state     string
	addr      string
	roots     *x509.CertPool
	Ready     bool
	CA        string
	Practices []struct {
		ID, URL  string
		Accounts []struct {
			Email, Password string
			TOTPSecret      string `json:"totp_secret"`
		}
	}
}

func serve(t *testing.T) *served {
	t.Helper()
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	addr, err := loopback.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	s := &served{t: t, binary: binary, state: filepath.Join(t.TempDir(), "s"), addr: addr, roots: x509.NewCertPool()}
	cmd := exec.Command(binary, "demo", "--json", "--listen", s.addr, "--state", s.state)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	line, _ := bufio.NewReaderSize(out, 1<<20).ReadBytes('\n')
	if err := json.Unmarshal(line, s); err != nil || !s.Ready {
		_ = cmd.Process.Kill()
		t.Fatalf("the demo does not serve: %v\n%s", err, errs.String())
	}
	pem, err := os.ReadFile(s.CA)
	if err != nil || !s.roots.AppendCertsFromPEM(pem) {
		t.Fatalf("the demo's certificate authority: %v", err)
	}
	return s
}

// run runs a command beside the serving gateway.
func (s *served) run(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.binary, append(args, "--state", s.state)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("gateway %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// visitor is a browser at acacia, where a password is enough until its grace ends.
type visitor struct {
	s      *served
	client *http.Client
	base   string
}

func (s *served) signIn() *visitor {
	s.t.Helper()
	jar, _ := cookiejar.New(nil)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", s.addr)
		},
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	v := &visitor{s: s, client: &http.Client{Transport: transport, Jar: jar, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	for _, p := range s.Practices {
		if p.ID != "acacia" {
			continue
		}
		v.base = p.URL
		for _, a := range p.Accounts {
			if strings.HasPrefix(a.Email, "clinician@") {
				v.post("/.gate/login?rd=/", url.Values{"email": {a.Email}, "password": {a.Password}})
			}
		}
	}
	if got := v.status(); got != http.StatusOK {
		s.t.Fatalf("signed in, the backend answers %d", got)
	}
	return v
}

func (v *visitor) post(path string, form url.Values) {
	v.s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", v.base)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := v.client.Do(req)
	if err != nil {
		v.s.t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusSeeOther {
		v.s.t.Fatalf("signing in: %s\n%.300s", res.Status, body)
	}
}

// status asks for something that only signed-in people get.
func (v *visitor) status() int {
	v.s.t.Helper()
	res, err := v.client.Get(v.base + "/api/echo")
	if err != nil {
		v.s.t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// refusedWithin waits for the answer to change, at most for a second.
func (v *visitor) refusedWithin(limit time.Duration, want int) {
	v.s.t.Helper()
	begun, got := time.Now(), 0
	for time.Since(begun) <= limit {
		if got = v.status(); got == want {
			v.s.t.Logf("refused after %v", time.Since(begun).Round(time.Millisecond))
			return
		}
	}
	v.s.t.Errorf("%v after the command was done the answer is %d, want %d", limit, got, want)
}

// A change from the command line acts on the serving process within a second.
func TestServingGatewayRefusesWithinASecond(t *testing.T) {
	s := serve(t)
	const who = "clinician@acacia.test"
	for _, c := range []struct {
		name string
		args func() []string
		want int
		undo []string
	}{
		{"revoke one", func() []string {
			var found struct{ Sessions []struct{ ID, Email string } }
			if err := json.Unmarshal([]byte(s.run("session", "list", "-p", "acacia", "--json")), &found); err != nil || len(found.Sessions) != 1 {
				t.Fatalf("%d sessions: %v", len(found.Sessions), err)
			}
			return []string{"session", "revoke", found.Sessions[0].ID, "-p", "acacia"}
		}, http.StatusUnauthorized, nil},
		{"revoke a person's", func() []string { return []string{"session", "revoke", "--user", who, "-p", "acacia"} }, http.StatusUnauthorized, nil},
		{"revoke all", func() []string { return []string{"session", "revoke", "--all", "-p", "acacia"} }, http.StatusUnauthorized, nil},
		{"disable the person", func() []string { return []string{"user", "disable", who, "-p", "acacia"} }, http.StatusUnauthorized,
			[]string{"user", "enable", who, "-p", "acacia"}},
		{"suspend the practice", func() []string { return []string{"practice", "suspend", "acacia"} }, http.StatusForbidden,
			[]string{"practice", "resume", "acacia"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			v := s.signIn()
			s.run(c.args()...)
			v.refusedWithin(time.Second, c.want)
			if c.undo != nil {
				s.run(c.undo...)
				s.run("session", "revoke", "--all", "-p", "acacia")
			}
		})
	}
	s.t = t
	s.run("audit", "verify", "--all")
}

func TestCommandsReadTheCaddyfileThatTheGatewayRunsWith(t *testing.T) {
	s := serve(t)
	if out := s.run("health"); !strings.Contains(out, "The gateway serves 4 practices.") {
		t.Errorf("health: %s", out)
	}
	caddyfile := write(t, "Caddyfile", "{\n\tadmin \"unix/"+s.state+"/admin.sock|0600\"\n\tclinicgate {\n\t\tstate "+s.state+"\n\t}\n}\n")
	for _, args := range [][]string{{"health"}, {"practice", "list"}, {"audit", "verify", "--all"}, {"keys", "rotate"}} {
		if out, err := exec.Command(s.binary, append(args, "--config", caddyfile)...).CombinedOutput(); err != nil {
			t.Errorf("gateway %v --config: %v\n%s", args, err, out)
		}
	}
	broken := write(t, "Caddyfile", "{\n\tclinicgate {\n\t\tstat x\n\t}\n}\n")
	out, err := exec.Command(s.binary, "practice", "list", "--config", broken).CombinedOutput()
	if err == nil || !strings.Contains(string(out), `unknown option "stat"`) {
		t.Errorf("a broken Caddyfile: %v, %s", err, out)
	}
}

// A practice that is removed and made again while the gateway serves begins a log of
// its own, which the serving process goes on with.
func TestPracticeIsRemovedAndMadeAgainWhileTheGatewayServes(t *testing.T) {
	s := serve(t)
	v := s.signIn()
	document := write(t, "acacia.yaml", s.run("practice", "export", "acacia"))
	s.run("practice", "remove", "acacia", "--yes")
	v.refusedWithin(time.Second, http.StatusMisdirectedRequest)
	s.run("practice", "apply", "-f", document)
	password := write(t, "password", clinicianPassword)
	s.run("user", "add", "-p", "acacia", "--email", "clinician@acacia.test", "--name", "Clinician", "--role", "clinician", "--password-file", password)
	v.refusedWithin(time.Second, http.StatusUnauthorized) // the old session is dead (THREATS T5)
	for i := range s.Practices {
		for j := range s.Practices[i].Accounts {
			s.Practices[i].Accounts[j].Password = clinicianPassword
		}
	}
	s.signIn()
	if out := s.run("audit", "tail", "-p", "acacia"); strings.Contains(out, "audit_log_damaged") || !strings.Contains(out, "signed_in") {
		t.Errorf("the new log:\n%s", out)
	}
	s.run("audit", "verify", "-p", "acacia")
}
