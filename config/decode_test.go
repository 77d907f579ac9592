package config_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"clinicgate/config"
	"clinicgate/policy"
)

// shortest is all that has no safe default.
const shortest = `practice: harbour
name: Harbour Family Practice
hosts: [harbour.localhost]
upstreams: [127.0.0.1:9000]
`

func TestAbsentFieldsAreTheSaferChoice(t *testing.T) {
	got, err := config.DecodeDocument("harbour.yaml", []byte(shortest))
	if err != nil {
		t.Fatal(err)
	}
	want := policy.Document{
		Practice: "harbour", Name: "Harbour Family Practice", Hosts: []string{"harbour.localhost"}, Timezone: "UTC",
		Upstreams: []string{"127.0.0.1:9000"},
		SignIn: policy.SignInRules{
			Methods:           []string{"password"},
			SecondFactor:      policy.SecondFactor{Stage: policy.Enforced, Accept: []string{"totp", "passkey"}},
			SSO:               policy.SSO{Stage: policy.Off},
			PhishingResistant: policy.PhishingResistant{Stage: policy.Off, Roles: []string{"practice_admin"}},
		},
		Session: policy.Session{Idle: minutes(15), Absolute: minutes(720), OutageGrace: minutes(5)},
		Binding: policy.Binding{Action: "step_up", DeviceKey: "prefer"},
		Roles:   []string{"practice_admin", "clinician", "reception", "billing", "security_reviewer"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := policy.Compile(got, policy.Platform{}); err != nil {
		t.Error(err)
	}
}

func minutes(n int) policy.Duration { return policy.Duration(time.Duration(n) * time.Minute) }

func TestWhatIsWrittenReplacesTheDefault(t *testing.T) {
	d, err := config.DecodeDocument("harbour.yaml", []byte(shortest+`
roles: [clinician]
sign_in:
  second_factor: {stage: off, accept: []}
  phishing_resistant: {roles: []}
session: {idle: 30m, outage_grace: 0s}
`))
	if err != nil {
		t.Fatal(err)
	}
	if d.SignIn.SecondFactor.Stage != policy.Off || len(d.SignIn.SecondFactor.Accept) != 0 ||
		len(d.SignIn.PhishingResistant.Roles) != 0 || d.Session.Idle != minutes(30) || d.Session.OutageGrace != 0 ||
		d.Session.Absolute != minutes(720) {
		t.Errorf("got %+v", d)
	}
}

func TestAnEmptyListIsNotTheDefault(t *testing.T) {
	d, err := config.DecodeDocument("harbour.yaml", []byte(shortest+"sign_in: {phishing_resistant: {roles: []}}\n"))
	if err != nil || len(d.SignIn.PhishingResistant.Roles) != 0 {
		t.Errorf("got %v, %v; want no roles", d.SignIn.PhishingResistant.Roles, err)
	}
}

func TestNullIsTheDefault(t *testing.T) {
	want, _ := config.DecodeDocument("harbour.yaml", []byte(shortest))
	got, err := config.DecodeDocument("harbour.yaml", []byte(shortest+`
sign_in:
  methods: null
  second_factor: {stage: null, accept: ~, grace_until: null}
  sso: {provider: null}
session:
access: null
providers: {}
`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestErrorsAreAPleasure holds what a practice admin reads, word for word.
func TestErrorsAreAPleasure(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"slip in a value", shortest + "sign_in:\n  second_factor:\n    stage: enforcd\n",
			`harbour.yaml:7: sign_in.second_factor.stage: "enforcd" is not one of off, report, grace, enforced (did you mean enforced?)`},
		{"slip in a field", shortest + "sign_in: {secnd_factor: {stage: off}}\n",
			"harbour.yaml:5: sign_in.secnd_factor: is not a field (did you mean second_factor?)"},
		{"field in upper case", shortest + "TimeZone: UTC\n",
			"harbour.yaml:5: TimeZone: is not a field (did you mean timezone?)"},
		{"field of nowhere", shortest + "binding: {cookie: x}\n",
			"harbour.yaml:5: binding.cookie: is not a field (known here: action, device_key)"},
		{"merge key", shortest + "<<: {timezone: UTC}\n",
			"harbour.yaml:5: <<: is not a field (known here: practice, name, hosts, region, timezone, upstreams, sign_in, providers, session, binding, network, roles, access, step_up)"},
		{"missing field", "name: H\nhosts: [a.example]\nupstreams: [a:1]\n",
			`harbour.yaml:1: practice: is missing (write 2 to 40 of a to z, 0 to 9 and inner hyphens)`},
		{"field twice", shortest + "name: Other\n",
			"harbour.yaml:5: name: is written twice, first in line 2 (keep one of them)"},
		{"field twice in braces", shortest + "session: {idle: 1m, idle: 2m}\n",
			"harbour.yaml:5: session.idle: is written twice, first in line 5 (keep one of them)"},
		{"one value for a list", shortest + "roles: clinician\n", "harbour.yaml:5: roles: is not a list (write [clinician])"},
		{"fields for a list", shortest + "access: {path: /a}\n",
			"harbour.yaml:5: access: is not a list (write its entries below it, each after a hyphen)"},
		{"value for fields", shortest + "binding: step_up\n",
			"harbour.yaml:5: binding: is not a group of fields (write action, device_key below it)"},
		{"list for a value", shortest + "region: [au]\n", "harbour.yaml:5: region: is not a single value (write one value)"},
		{"list for a duration", shortest + "session: {idle: [15m]}\n", "harbour.yaml:5: session.idle: is not a single value (write one value)"},
		{"duration without a unit", shortest + "session: {idle: 15}\n",
			`harbour.yaml:5: session.idle: "15" has no unit: write 15s, 15m or 15h`},
		{"yes for true", shortest + "access: [{path: /a, public: yes}]\n",
			`harbour.yaml:5: access[0].public: "yes" is neither true nor false (write true or false)`},
		{"word for a number", shortest + "session: {max_per_user: many}\n",
			`harbour.yaml:5: session.max_per_user: "many" is not a whole number (write it in digits)`},
		{"empty list entry", shortest + "roles: [clinician, ]\nregion: au\nnetwork:\n  allow:\n    -\n",
			"harbour.yaml:9: network.allow[0]: is empty (write a value or remove it)"},
		{"level", shortest + "step_up:\n  - path: /a\n    level: aal3\n",
			`harbour.yaml:7: step_up[0].level: "aal3" is not one of aal1, aal2, aal2-pr`},
		{"date without an hour", shortest + "sign_in: {second_factor: {grace_until: 2030-01-31}}\n",
			`harbour.yaml:5: sign_in.second_factor.grace_until: "2030-01-31" is not a point in time (add the hour and the zone: 2030-01-31T17:00:00+11:00)`},
		{"anchor", shortest + "region: &r au\n",
			"harbour.yaml:5: region: the document uses an anchor or an alias (write the value out where it is meant)"},
		{"tag", shortest + "region: !!binary YXU=\n", `harbour.yaml:5: region: the document uses the tag "!!binary" (write the plain value)`},
		{"second document", shortest + "---\npractice: other\n", "harbour.yaml:5: a second document begins here (write one document a file)"},
		{"tab", shortest + "session:\n\tidle: 1m\n", "harbour.yaml:6: the line begins with a tab (indent with blanks)"},
		{"byte order mark", "\ufeff" + shortest, "harbour.yaml:1: the text begins with a byte order mark (save it as UTF-8 without BOM)"},
		{"UTF-16", "\xff\xfep\x00", "harbour.yaml:1: the text is UTF-16 (save it as UTF-8)"},
		{"Latin-1", shortest + "region: S\xfcd\n", "harbour.yaml:5: the text is not UTF-8 (save it as UTF-8)"},
		{"NUL", shortest + "region: \x00\n", "harbour.yaml:5: the text holds the control character U+0000 (remove it)"},
		{"no YAML", shortest + "roles: [a\n", "harbour.yaml:5: the text is not YAML: did not find expected ',' or ']' (look from that line on for a bracket, a quote or a colon)"},
		{"tab before a comment", shortest + "\t# why\n", "harbour.yaml:5: the line begins with a tab (indent with blanks)"},
		{"empty", "", "harbour.yaml: the document is empty (write at least practice, name and hosts)"},
		{"only comments", "# nothing\n", "harbour.yaml: the document is empty (write at least practice, name and hosts)"},
		{"a list", "- practice: x\n", "harbour.yaml:1: the document does not hold fields (write name: value lines)"},
		{"two in one JSON", `{"practice": "a",` + "\n" + `"practice": "b"}`,
			"harbour.yaml:2: practice: is written twice, first in line 1 (keep one of them)"},
		{"field twice in a list", shortest + "access:\n  - {path: /a, public: true}\n  - {path: /b, path: /c, public: true}\n",
			"harbour.yaml:7: access[1].path: is written twice, first in line 7 (keep one of them)"},
		{"alias", shortest + "access: [*a]\n", "harbour.yaml:1: the text is not YAML: unknown anchor 'a' referenced (look from that line on for a bracket, a quote or a colon)"},
		{"JSON cut off in a file named YAML", "{\"practice\": \"a\",\n\"name\": \"H\",,}",
			"harbour.yaml:2: the text is not JSON: invalid character ',' looking for beginning of object key string (look at that line and the one before)"},
		{"text behind JSON", `{"practice": "a"} {}`,
			"harbour.yaml:1: the text is not JSON: invalid character '{' after top-level value (look at that line and the one before)"},
		{"leading zero", shortest + "session: {max_per_user: 010}\n",
			`harbour.yaml:5: session.max_per_user: "010" is not a whole number (write it in digits)`},
		{"colours for the terminal in a field's name", shortest + "\"\\e[31m\\nred\": 1\n",
			`harbour.yaml:5: \x1b[31m\nred: is not a field (known here: practice, name, hosts, region, timezone, upstreams, sign_in, providers, session, binding, network, roles, access, step_up)`},
		{"colours for the terminal in a value", shortest + "roles: \"\\e[31m\\u202e\"\n", `harbour.yaml:5: roles: is not a list (write [\x1b[31m\u202e])`},
		{"endless name of a field", "{\"" + strings.Repeat("k", 5000) + `": 1, "practice": "harbour", "name": "H", "hosts": ["a.example"], "upstreams": ["a:1"]}`,
			"harbour.yaml:1: " + strings.Repeat("k", 120) + ": is not a field (known here: practice, name, hosts, region, timezone, upstreams, sign_in, providers, session, binding, network, roles, access, step_up)"},
		{"deep", shortest + "region: " + strings.Repeat("[", 30) + strings.Repeat("]", 30), "harbour.yaml:5: the document nests too deep (no field is that deep)"},
		{"deep JSON", `{"region": ` + strings.Repeat("[", 30) + strings.Repeat("]", 30) + "}",
			"harbour.yaml:1: the document nests too deep (no field is that deep)"},
		{"deeper than the parser goes", shortest + "region: " + strings.Repeat("[", 20000), "harbour.yaml:5: the text is not YAML: exceeded max depth of 10000 (look from that line on for a bracket, a quote or a colon)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := config.DecodeDocument("harbour.yaml", []byte(tt.text))
			if err == nil || err.Error() != tt.want {
				t.Errorf("\n got %v\nwant %s", err, tt.want)
			}
			if diff := cmp.Diff(policy.Document{}, d); diff != "" {
				t.Errorf("a refused document came back: %s", diff)
			}
		})
	}
}

func TestEverythingWrongIsToldAtOnceInTheOrderOfTheLines(t *testing.T) {
	_, err := config.DecodeDocument("h.yaml", []byte(`practice: Harbour
name: H
hosts: [H.example]
sign_in: {second_factor: {stage: enforcd}}
sesion: {idle: 15m}
access:
  - path: billing
    roles: [biling]
`))
	var got []string
	var all config.Errors
	if !errors.As(err, &all) {
		t.Fatalf("got %T, want config.Errors", err)
	}
	for _, e := range all {
		got = append(got, e.Field)
	}
	want := []string{"practice", "hosts[0]", "sign_in.second_factor.stage", "sesion", "access[0].path", "access[0].roles[0]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var first *config.Error
	if !errors.As(err, &first) || first.Line != 1 || first.File != "h.yaml" {
		t.Errorf("the first error is %+v", first)
	}
}

func TestAThousandMistakesAreNotAThousandLines(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		b.WriteString("a" + strings.Repeat("b", i) + ": 1\n")
	}
	_, err := config.DecodeDocument("h.yaml", []byte(b.String()))
	if n := strings.Count(err.Error(), "\n"); n >= 50 {
		t.Errorf("%d lines, want at most 50", n+1)
	}
}

func TestTooLargeIsRefusedUnread(t *testing.T) {
	_, err := config.DecodeDocument("h.yaml", []byte(shortest+strings.Repeat("#", 1<<20)))
	if err == nil || !strings.Contains(err.Error(), "larger than 1048576 bytes") {
		t.Errorf("got %v", err)
	}
}

func TestBelowTheFloorIsRefusedWithItsLine(t *testing.T) {
	pf, err := config.DecodePlatform("platform.yaml", []byte("floor: {second_factor: enforced, idle: 10m}\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = config.LoadDocument("h.yaml", []byte(shortest+"sign_in:\n  second_factor:\n    stage: report\n"), pf)
	want := `h.yaml:1: session.idle: "15m" is below the platform's floor.idle, which is at most 10m (write at most 10m)
h.yaml:7: sign_in.second_factor.stage: "report" is below the platform's floor.second_factor, which is enforced (write enforced)`
	if err == nil || err.Error() != want {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
}

func TestJSONAndYAMLAreTheSameDocument(t *testing.T) {
	for _, file := range examples(t) {
		want, err := config.DecodeDocument(file, read(t, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, indent := range []string{"", "\t", "  "} {
			text, err := json.MarshalIndent(want, "", indent)
			if err != nil {
				t.Fatal(err)
			}
			got, err := config.DecodeDocument(file, text)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", file, diff)
			}
		}
	}
}

func TestJSONErrorsHaveTheirLine(t *testing.T) {
	_, err := config.DecodeDocument("h.json", []byte("{\n\t\"practice\": \"harbour\",\n\t\"name\": \"\\ud83d\\ude00\",\n\t\"hosts\": [\n\t\t\"A\"\n\t],\n\t\"upstreams\": [\"a:1\"]\n}"))
	want := `h.json:5: hosts[0]: "A" is not in lower case (write a)`
	if err == nil || err.Error() != want {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
}

func TestBrokenJSONIsToldAsJSON(t *testing.T) {
	_, err := config.DecodeDocument("h.json", []byte("{\n\t\"practice\": \"harbour\"\n\t\"name\": \"H\"\n}"))
	want := `h.json:3: the text is not JSON: invalid character '"' after object key:value pair (look at that line and the one before)`
	if err == nil || err.Error() != want {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
}

func TestBracesWithoutQuotesAreYAML(t *testing.T) {
	if _, err := config.DecodeDocument("h.yaml", []byte("{practice: harbour, name: H, hosts: [a.example], upstreams: ['a:1']}")); err != nil {
		t.Error(err)
	}
}

func TestCommentsAndWindowsLinesAreRead(t *testing.T) {
	text := "# by hand\r\n" + strings.ReplaceAll(shortest, "\n", "\r\n") + "  \r\n\r\n"
	if _, err := config.DecodeDocument("h.yaml", []byte(text)); err != nil {
		t.Error(err)
	}
}

func TestPlatformErrors(t *testing.T) {
	_, err := config.DecodePlatform("platform.yaml", []byte("floor: {second_factor: enforce}\nregion: {}\nretention: {audit: 1h}\n"))
	want := `platform.yaml:1: floor.second_factor: "enforce" is not one of off, report, grace, enforced (did you mean enforced?)
platform.yaml:2: region: is not a field (did you mean regions?)
platform.yaml:3: retention.audit: 1h is outside 24h to 175200h (write a duration between them)`
	if err == nil || err.Error() != want {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
}

func TestPlatformMayBeNearlyEmpty(t *testing.T) {
	pf, err := config.DecodePlatform("platform.yaml", []byte("floor: {}\n"))
	if err != nil || time.Duration(pf.Retention.Audit) != 8760*time.Hour {
		t.Errorf("got %+v, %v; want audit records for a year", pf, err)
	}
}

func FuzzDecodeDocument(f *testing.F) {
	for _, file := range examples(f) {
		f.Add(read(f, file))
	}
	f.Add([]byte(shortest))
	f.Add([]byte(`{"practice": "harbour", "name": "H", "hosts": ["a.example"], "upstreams": ["a:1"]}`))
	f.Add([]byte("a: &x [*x, *x]"))
	f.Add([]byte("{a: b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := config.DecodeDocument("f.yaml", data)
		if err != nil {
			var all config.Errors
			if !errors.As(err, &all) || len(all) == 0 || strings.Count(err.Error(), "\n") >= 50 {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		text, err := config.EncodeDocument(d)
		if err != nil {
			t.Fatal(err)
		}
		again, err := config.DecodeDocument("f.yaml", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Fatalf("%s\n%s", diff, text)
		}
		if problems := d.Check(); len(problems) > 0 {
			t.Fatalf("it was accepted with %v", problems)
		}
	})
}

func FuzzDecodePlatform(f *testing.F) {
	f.Add(read(f, "platform.yaml"))
	f.Add([]byte("header_aliases: {Remote-User: X-User-Email}\nmail: {from: a@b.example, server: b.example:25}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		pf, err := config.DecodePlatform("f.yaml", data)
		if err == nil && len(pf.Validate()) > 0 {
			t.Fatalf("it was accepted with %v", pf.Validate())
		}
	})
}
