package tls_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"clinicgate/tests/harness"
)

// TestUnitIsReadByASystemd: systemd's own reader finds nothing to say about the unit,
// where there is one. Its grammar is checked everywhere.
func TestUnitIsReadByASystemd(t *testing.T) {
	text := shipped(t, "clinicgate.service")
	settings := readUnit(t, text)
	// The first line is the list, the others take away and, last, give back.
	wantCalls := []string{"@system-service", "~@privileged @resources", "setpriority"}
	if got := settings["Service/SystemCallFilter"]; !slices.Equal(got, wantCalls) {
		t.Errorf("SystemCallFilter is %q, want %q: password workers lower their own priority", got, wantCalls)
	}
	for key, want := range map[string]string{
		"Service/Type": "notify", "Service/User": "clinicgate", "Service/NoNewPrivileges": "yes", "Service/ProtectSystem": "strict",
		"Service/ProtectHome": "yes", "Service/PrivateTmp": "yes", "Service/CapabilityBoundingSet": "CAP_NET_BIND_SERVICE",
		"Service/StateDirectoryMode": "0700", "Service/RuntimeDirectoryMode": "0700", "Service/UMask": "0077",
		"Install/WantedBy": "multi-user.target",
	} {
		if got := settings[key]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	for _, key := range []string{"Service/ExecStart", "Service/ExecReload"} {
		if got := settings[key]; len(got) != 1 || !strings.HasPrefix(got[0], "/usr/local/bin/gateway ") {
			t.Errorf("%s is %q", key, got)
		}
	}
	if _, err := exec.LookPath("systemd-analyze"); err == nil {
		unit := filepath.Join(t.TempDir(), "clinicgate.service")
		here := strings.ReplaceAll(text, "/usr/local/bin/gateway", harness.Binary(t))
		if err := os.WriteFile(unit, []byte(here), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
		if err != nil || strings.Contains(string(out), "clinicgate.service") {
			t.Errorf("systemd-analyze verify: %v\n%s", err, out)
		}
	}
}

// readUnit reads "[Section]", "Key=value" and comments, by section and key.
func readUnit(t *testing.T, text string) map[string][]string {
	t.Helper()
	settings, section := map[string][]string{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		key, value, isSetting := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			section = strings.Trim(line, "[]")
		case isSetting && section != "" && key != "" && !strings.ContainsAny(key, " \t") && value != "":
			settings[section+"/"+key] = append(settings[section+"/"+key], value)
		default:
			t.Errorf("not a line of a unit: %q", line)
		}
	}
	return settings
}

// TestSystemdHearsThatItServes (Type=notify): READY=1 comes when the gateway serves,
// RELOADING=1 and READY=1 with a reload, STOPPING=1 at the end.
func TestSystemdHearsThatItServes(t *testing.T) {
	i := prepare(t)
	i.practice(t, north, "127.0.0.1:1")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: i.path("notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	hear := func(want string) {
		t.Helper()
		_ = socket.SetReadDeadline(time.Now().Add(wait))
		message := make([]byte, 4096)
		for {
			n, err := socket.Read(message)
			if err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			if slices.Contains(strings.Split(string(message[:n]), "\n"), want) {
				return
			}
		}
	}
	i.start(t, "NOTIFY_SOCKET="+i.path("notify"))
	hear("READY=1")
	if said, code := i.reload(t); code != 0 {
		t.Fatal(said)
	}
	hear("RELOADING=1")
	hear("READY=1")
	i.stop()
	hear("STOPPING=1")
}
