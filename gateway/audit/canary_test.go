package audit_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"clinicgate/gateway/audit"
)

// TestEventHasNoFieldThatTakesASecret: only text and a map of text, so that a
// vault.Secret cannot be passed without a loud Reveal at the caller's.
func TestEventHasNoFieldThatTakesASecret(t *testing.T) {
	for field := range reflect.TypeFor[audit.Event]().Fields() {
		kind := field.Type.Kind()
		text := kind == reflect.String
		table := kind == reflect.Map && field.Type.Key() == reflect.TypeFor[string]() && field.Type.Elem() == reflect.TypeFor[string]()
		if !text && !table {
			t.Errorf("field %s is a %s", field.Name, field.Type)
		}
	}
}

// canaries are credentials as somebody might hand them to the log by mistake: THREATS A5.
var canaries = []struct{ key, value string }{
	{"password", "canary-password"}, {"new_password", "canary-new"}, {"Passphrase", "canary-phrase"}, {"token", "canary-token"},
	{"reset-token", "canary-reset"}, {"cookie", "canary-cookie"}, {"code", "canary-code-1"}, {"totp_code", "canary-code-2"}, {"recovery_code", "canary-code-3"},
	{"otp", "canary-otp"}, {"totp.secret", "canary-secret"}, {"client_secret", "canary-client"}, {"authorization", "canary-authz"}, {"private_key", "canary-key"}, {"dsn", "canary-dsn"},
	{"note", "eyJhbGciOiJFUzI1NiJ9.canary-jwt.sig"}, {"note", "sent Cookie: __Host-gate=canary-gate"}, {"note", "otpauth://totp/x?secret=canary-uri"},
	{"note", "$argon2id$v=19$canary-hash"}, {"note", "-----BEGIN PRIVATE KEY-----canary-pem"}, {"note", "Bearer canary-bearer"}, {"note", "basic canary-basic"},
	{"note", "postgres://gate:canary-pass@db/x"}, {"note", `<samlp:Response>canary-saml`}, {"note", "?SAMLResponse=canary-post"}, {"note", "id_token=canary-id"},
}

func TestCanariesNeverReachTheLog(t *testing.T) {
	b := newBench(t)
	for _, c := range canaries {
		e := event("canary")
		e.Detail = map[string]string{c.key: c.value}
		b.append(e)
		b.log.Note(harbour, audit.Event{Class: audit.Refusal, Action: "canary_note", Detail: map[string]string{c.key: c.value}})
		if c.key == "note" {
			b.append(audit.Event{Class: audit.Refusal, Action: "canary", Actor: c.value, Subject: c.value, Addr: c.value, Request: c.value})
			b.log.Note(harbour, audit.Event{Class: audit.Refusal, Action: "canary_note_" + c.value[:6], Actor: c.value})
			b.log.Note(harbour, audit.Event{Class: audit.Refusal, Action: "canary_note_" + c.value[:6], Actor: c.value})
		}
	}
	b.flush()
	texts := map[string]string{"CSV": b.export(audit.CSV, audit.Range{}), "JSONL": b.export(audit.JSONL, audit.Range{}), "report": sprint(b.verify())}
	b.close()
	err := filepath.WalkDir(b.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		texts[entry.Name()] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range texts {
		if i := strings.Index(text, "canary-"); i >= 0 {
			t.Errorf("%s holds %q", where, text[i:min(i+24, len(text))])
		}
	}
	b.open()
}

func TestOrdinaryDetailsAreNotWithheld(t *testing.T) {
	detail := map[string]string{"reason": "bad_code", "reason_code": "x", "status_code": "401", "token_id": "tok-1", "credential_id": "c-1", "method": "password",
		"password_changed": "yes", "user_agent": "Mozilla/5.0 (X11; eyJ.) like", "url": "https://harbour.test/a@b", "plan": "a basic plan", "roles": "clinician"}
	got, err := audit.CleanEvent(audit.Event{Class: audit.Person, Action: "x", Detail: detail})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range detail {
		if got.Detail[key] != want {
			t.Errorf("%s: %q became %q", key, want, got.Detail[key])
		}
	}
}
