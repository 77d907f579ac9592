package backend_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"clinicgate/gateway/demo/backend"
)

func TestHomeShowsWhoIsSignedInAndTheIdentityHeaders(t *testing.T) {
	r := request(t, http.MethodGet, start(t, backend.Options{})+"/", nil)
	r.Header.Set("X-User-Name", "Clinician of Harbour")
	r.Header.Set("X-User-Email", "clinician@harbour.test")
	r.Header.Set("X-User-Roles", "clinician,billing")
	r.Header.Set("X-Auth-Level", "aal2")
	r.Header.Set("Accept-Language", "not-identity")
	answer, body := do(t, r)
	for _, want := range []string{"Signed in as <strong>Clinician of Harbour</strong> (clinician, billing), assurance aal2",
		"X-Practice-Id", "X-User-Email", "header.payload.signature", `action="/.gate/logout"`, `href="/.gate/account"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(body, "not-identity") {
		t.Error("the page lists headers that are not identity headers")
	}
	if got := answer.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control: got %q", got)
	}
}

func TestAnonymousPageOffersNoSignOut(t *testing.T) {
	_, body := get(t, start(t, backend.Options{})+"/booking/")
	if !strings.Contains(body, "Nobody is signed in") || strings.Contains(body, "/.gate/logout") {
		t.Errorf("got %s", body)
	}
}

func TestScriptInIdentityHeadersOrFormIsEscaped(t *testing.T) {
	const script = `<script>alert(1)</script>`
	home := start(t, backend.Options{})
	r := request(t, http.MethodPost, home+"/prescriptions/7", strings.NewReader(url.Values{"medicine": {script}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-User-Name", script)
	answer, body := do(t, r)
	if strings.Contains(body, script) || strings.Count(body, "&lt;script&gt;") != 2 {
		t.Errorf("the name and the medicine must both be shown escaped: %s", body)
	}
	policy := answer.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy: got %q", policy)
	}
}

func TestPrescriptionsSayWhatWasPrescribed(t *testing.T) {
	rows := []struct {
		name, method, form string
		status             int
		text               string
	}{
		{"form", http.MethodGet, "", 200, `name="medicine"`},
		{"prescribed", http.MethodPost, "medicine=Amoxicillin+500+mg", 200, "Prescribed: Amoxicillin 500 mg"},
		{"nothing", http.MethodPost, "medicine=+", 422, "Nothing was prescribed"},
		{"too much", http.MethodPost, "medicine=" + strings.Repeat("x", 65<<10), 422, "Nothing was prescribed"},
		{"other method", http.MethodDelete, "", 405, "GET or POST"},
	}
	home := start(t, backend.Options{})
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := request(t, row.method, home+"/prescriptions/new", strings.NewReader(row.form))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			answer, body := do(t, r)
			if answer.StatusCode != row.status || !strings.Contains(body, row.text) {
				t.Errorf("got %d %s, want %d with %q", answer.StatusCode, body, row.status, row.text)
			}
		})
	}
}

func TestPagesCoverTheirFolderAndNothingBeside(t *testing.T) {
	home := start(t, backend.Options{})
	for path, want := range map[string]int{"/billing": 200, "/billing/a/b": 200, "/billingx": 404, "/booking/x": 200, "//billing": 404,
		"/prescriptions": 200, "/Billing": 404, "/nowhere": 404, "/billing/%2e%2e/x": 200} {
		if answer, _ := get(t, home+path); answer.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, answer.StatusCode, want)
		}
	}
}
