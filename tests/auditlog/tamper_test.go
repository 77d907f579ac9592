package auditlog_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"clinicgate/tests/probe"
)

// A3: whoever can write to the file cannot do it unseen: verify names the first row.
func TestTamperedLogIsFound(t *testing.T) {
	t.Parallel()
	for i, row := range []struct{ name, statement, names string }{
		{"altered", `UPDATE audit_event SET actor = 'somebody-else' WHERE seq = 3`, "row is 3"},
		{"detail altered", `UPDATE audit_event SET detail = '{}' WHERE seq = 4`, "row is 4"},
		{"deleted", `DELETE FROM audit_event WHERE seq = 3`, "row is 3"},
		{"reordered", `UPDATE audit_event SET at = (SELECT at FROM audit_event WHERE seq = 5) WHERE seq = 2`, "row is 2"},
		{"numbers exchanged", `UPDATE audit_event SET seq = CASE seq WHEN 2 THEN -3 WHEN 3 THEN -2 END WHERE seq IN (2, 3);
			UPDATE audit_event SET seq = -seq WHERE seq < 0`, "row is 2"},
		{"cut at the tail", `DELETE FROM audit_event WHERE seq > 4`, "row is 5"},
		{"emptied", `DELETE FROM audit_event`, "row is 1"},
		{"inserted", `INSERT INTO audit_event SELECT practice, (SELECT MAX(seq) + 1 FROM audit_event), at, class, action, actor, subject, addr, request, detail, prev, hash FROM audit_event WHERE seq = 2`, "row is"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			id := fmt.Sprintf("tampered-%d", i)
			p := probe.Open(t, gate, id, id+".localhost")
			who := probe.Add(t, gate, id, "watched", "clinician", false)
			for range 3 {
				signIn(t, gate, p, who, "")
			}
			probe.Must(t, gate, "audit", "verify", "--practice", id)
			db := open(t, gate, id)
			if _, err := db.Exec(row.statement); err != nil {
				t.Fatal(err)
			}
			out, errs, code := gate.Run(t, "audit", "verify", "--practice", id)
			if code != 1 || !strings.Contains(errs, row.names) {
				t.Errorf("verify: exit %d, want 1 naming %q\n%s%s", code, row.names, out, errs)
			}
			// Going on writing does not heal it.
			signIn(t, gate, p, who, "")
			if _, errs, code := gate.Run(t, "audit", "verify", "--practice", id); code != 1 || !strings.Contains(errs, row.names) {
				t.Errorf("verify after more records: exit %d, want 1 naming %q\n%s", code, row.names, errs)
			}
		})
	}
}

// A3: whatever stands in a request is one bounded record, in both formats.
func TestHostileInputIsOneBoundedRecord(t *testing.T) {
	t.Parallel()
	p := probe.Open(t, gate, "hostile", "hostile.localhost")
	who := probe.Add(t, gate, "hostile", "hostile", "clinician", false)
	for _, agent := range []string{
		"=cmd|' /C calc'!A0", "@SUM(1+1)", "+1", "-1", "\t=1", "x\u2028y\u2029z", "x\u202ey", "\"quoted\",\"csv\"", "Mozilla/5.0 \xff\xfe", strings.Repeat("A", 20<<10),
	} {
		signIn(t, gate, p, who, agent)
	}
	for _, path := range []string{"/.gate/x", "/%0d%0aSet-Cookie:a", "/=cmd", "/" + strings.Repeat("b", 4000), "/\u2028", "/%1b[31m", "/..%2f"} {
		req := probe.Page(p, "/")
		req.URL.Opaque = path
		req.URL.RawPath = path
		req.Header.Set("Sec-Fetch-Mode", "cors")
		if res, err := probe.Client(t, gate, "").Do(req); err == nil {
			res.Body.Close()
		}
	}
	probe.Send(t, probe.Client(t, gate, ""), probe.Form(p, "/.gate/login", url.Values{"email": {"=1+1\r\n2026 forged line"}, "password": {"x"}}))
	probe.Audited(t, gate, "hostile", "password_refused")
	probe.Must(t, gate, "audit", "verify", "--practice", "hostile")

	lines := probe.Must(t, gate, "audit", "export", "--practice", "hostile", "--format", "jsonl")
	for line := range strings.Lines(lines) {
		if len(line) > 16<<10 || strings.ContainsAny(line, "\r\x1b\x00\u2028\u2029\u202e") {
			t.Errorf("a record of %d bytes or with control characters: %.200q", len(line), line)
		}
	}
	text := probe.Must(t, gate, "audit", "export", "--practice", "hostile", "--format", "csv")
	table, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatalf("the CSV does not parse: %v", err)
	}
	if want := strings.Count(lines, "\n"); len(table)-1 > want+2 || len(table)-1 < want {
		t.Errorf("%d CSV records for %d events", len(table)-1, want)
	}
	for _, row := range table {
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
				t.Errorf("a cell that a spreadsheet would run: %.60q", cell)
			}
		}
	}
}

// A4: a sign-in that cannot be recorded does not happen, nor does any other step.
func TestLogThatCannotBeWrittenStopsSignIns(t *testing.T) {
	t.Parallel()
	p := probe.Open(t, gate, "unwritable", "unwritable.localhost")
	who := probe.Add(t, gate, "unwritable", "unwritten", "clinician", false)
	session, _ := probe.Cookie(signIn(t, gate, p, who, ""), probe.Session)
	db := open(t, gate, "unwritable")
	if _, err := db.Exec(`CREATE TRIGGER broken BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'no room'); END`); err != nil {
		t.Fatal(err)
	}
	client := probe.Client(t, gate, "")
	for name, req := range map[string]*http.Request{
		"sign-in":        probe.Form(p, "/.gate/login", url.Values{"email": {who.Email}, "password": {who.Password}}),
		"wrong password": probe.Form(p, "/.gate/login", url.Values{"email": {who.Email}, "password": {"wrong-password-0000"}}),
		"logout":         probe.Form(p, "/.gate/logout", nil, probe.Session+"="+session),
	} {
		res := probe.Send(t, client, req)
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || len(res.Header["Set-Cookie"]) > 0 {
			t.Errorf("%s: %s, Retry-After %q, cookies %q; want 503 and nothing changed", name, res.Status, res.Header.Get("Retry-After"), res.Header["Set-Cookie"])
		}
	}
	var sessions int
	if err := db.QueryRow(`SELECT COUNT(*) FROM session`).Scan(&sessions); err != nil || sessions != 1 {
		t.Errorf("%d sessions, want the one from before: %v", sessions, err)
	}
	if _, _, code := gate.Run(t, "user", "disable", who.Email, "--practice", "unwritable"); code != 1 {
		t.Errorf("user disable: exit %d, want 1", code)
	}
	if res := probe.Send(t, client, probe.Page(p, "/api/echo", probe.Session+"="+session)); res.StatusCode != http.StatusOK {
		t.Errorf("who is signed in goes on: %s", res.Status)
	}
	if _, err := db.Exec(`DROP TRIGGER broken`); err != nil {
		t.Fatal(err)
	}
	if res := signIn(t, gate, p, who, ""); res.StatusCode != http.StatusSeeOther {
		t.Errorf("afterwards: %s", res.Status)
	}
}
