package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"clinicgate/config/examples"
	"clinicgate/gateway/command"
	"clinicgate/gateway/core"
	"clinicgate/policy"
)

// The commands are tried as they are used: by running them. The test binary is the
// program when this variable is set.
const asProgram = "CLINICGATE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		command.Main()
		return
	}
	code := m.Run()
	for _, folder := range []string{template, built} {
		if folder != "" {
			_ = os.RemoveAll(folder)
		}
	}
	os.Exit(code)
}

// Secrets that must never be printed or stored.
const (
	adminPassword     = "canary violet harbour 71 lantern"
	clinicianPassword = "canary amber paddock 38 trellis"
)

// outcome is what a command did.
type outcome struct {
	out, err string
	code     int
}

func (o outcome) String() string { return o.out + o.err }

// run runs a command with an input.
func run(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "SUDO_USER=")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatalf("running gateway %v: %v", args, err)
	}
	return outcome{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// do runs a command that must succeed.
func do(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	o := run(t, stdin, args...)
	if o.code != 0 {
		t.Fatalf("gateway %s: exit %d\n%s", strings.Join(args, " "), o.code, o)
	}
	return o.out
}

// doJSON runs a command that must succeed and print JSON.
func doJSON(t *testing.T, args ...string) map[string]any {
	t.Helper()
	var v map[string]any
	if out := do(t, "", append(args, "--json")...); json.Unmarshal([]byte(out), &v) != nil {
		t.Fatalf("gateway %s: not JSON: %s", strings.Join(args, " "), out)
	}
	return v
}

// refuses runs a command that must exit with code and say want on standard error, and
// nothing on standard output.
func refuses(t *testing.T, code int, want, stdin string, args ...string) {
	t.Helper()
	o := run(t, stdin, args...)
	if o.code != code {
		t.Fatalf("gateway %s: exit %d, want %d\n%s", strings.Join(args, " "), o.code, code, o)
	}
	if !strings.HasPrefix(o.err, "gateway: ") || !strings.Contains(o.err, want) {
		t.Errorf("gateway %s: says %q, want %q", strings.Join(args, " "), o.err, want)
	}
	if code == 2 && !strings.Contains(o.err, "\nSee: gateway") {
		t.Errorf("gateway %s: does not say where help is: %q", strings.Join(args, " "), o.err)
	}
	if o.out != "" {
		t.Errorf("gateway %s: prints %q although it refuses", strings.Join(args, " "), o.out)
	}
}

var (
	template string
	prepare  sync.Once
)

// newState is a state folder with the practices harbour and acacia and two people of
// harbour: admin, with an authenticator app, and clinician.
func newState(t *testing.T) string {
	t.Helper()
	prepare.Do(func() { template = makeTemplate(t) })
	state := filepath.Join(t.TempDir(), "state")
	err := filepath.WalkDir(template, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(state, strings.TrimPrefix(path, template))
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
	if err != nil {
		t.Fatalf("copying the template: %v", err)
	}
	return state
}

func makeTemplate(t *testing.T) string {
	folder, err := os.MkdirTemp("", "command-test-")
	if err != nil {
		t.Fatal(err)
	}
	do(t, "", "keys", "init", "--state", folder)
	do(t, "", "practice", "apply", "--state", folder, "-f", example(t, "harbour"), "-f", example(t, "acacia"))
	do(t, adminPassword+"\n", "user", "add", "--state", folder, "-p", "harbour", "--email", "admin@harbour.test",
		"--name", "Admin", "--role", "practice_admin", "--password-file", "-", "--totp")
	do(t, clinicianPassword+"\n", "user", "add", "--state", folder, "-p", "harbour", "--email", "clinician@harbour.test",
		"--name", "Clinician", "--role", "clinician", "--password-file", "-")
	return folder
}

// example writes one of the documents that are shipped to a file, with changes.
func example(t *testing.T, practice string, replace ...string) string {
	t.Helper()
	source, err := examples.Files.ReadFile(practice + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(source)
	for i := 0; i+1 < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			t.Fatalf("%s.yaml does not hold %q", practice, replace[i])
		}
		text = strings.ReplaceAll(text, replace[i], replace[i+1])
	}
	return write(t, practice+".yaml", text)
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// open opens a state in this process, as a serving gateway would.
func open(t *testing.T, state string) *core.Core {
	t.Helper()
	options, err := core.ReadOptions(core.Files{State: state})
	if err != nil {
		t.Fatal(err)
	}
	c, err := core.OpenTool(t.Context(), options)
	if err != nil {
		t.Fatalf("opening the state: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// events are the records of a practice's log after number after, as `audit tail --json`
// prints them, read in this process because nearly every test asks for them.
func events(t *testing.T, state, practice string, after int) []map[string]any {
	t.Helper()
	c := open(t, state)
	defer c.Close()
	records, err := c.Audit.Tail(t.Context(), policy.PracticeID(practice), 1000)
	if err != nil {
		t.Fatalf("reading the log of %s: %v", practice, err)
	}
	found := []map[string]any{}
	for _, r := range records {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var e map[string]any
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		if r.Seq > int64(after) {
			found = append(found, e)
		}
	}
	return found
}

// kinds shortens events to "class/action".
func kinds(events []map[string]any) []string {
	short := []string{}
	for _, e := range events {
		short = append(short, e["class"].(string)+"/"+e["action"].(string))
	}
	return short
}
