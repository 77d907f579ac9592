package page_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"clinicgate/modules/login/page"

	"github.com/google/go-cmp/cmp"
)

// everyPage runs a rule on every state, and on every combination of a form with a problem or a notice.
func everyPage(t *testing.T, rule func(t *testing.T, s state, html string, root *node)) {
	t.Helper()
	all := states()
	for p := page.NoProblem; p <= page.Unavailable+1; p++ { // one beyond the list too
		for n := page.NoNotice; n <= page.NoticeOthersGone+1; n++ {
			all = append(all, state{fmt.Sprintf("signin/%d/%d", p, n), page.SignIn{Base: base, Problem: p, Notice: n}})
		}
		all = append(all,
			state{fmt.Sprintf("code/%d", p), page.SecondFactor{Base: base, Problem: p}},
			state{fmt.Sprintf("enrol/%d", p), page.Enrol{Base: base, Problem: p}},
			state{fmt.Sprintf("account/%d", p), page.Account{Base: base, Problem: p}},
			state{fmt.Sprintf("stepup/%d", p), page.StepUp{Base: base, Problem: p}},
			state{fmt.Sprintf("stepup-password/%d", p), page.StepUp{Base: base, Proof: page.ProofPassword, Problem: p}},
		)
	}
	for k := range 256 {
		all = append(all, state{fmt.Sprintf("failure/%d", k), page.Failure{Base: base, Kind: page.Kind(k)}})
	}
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			html := render(t, s.page)
			rule(t, s, html, parse(t, html))
		})
	}
}

// TestEveryPageIsSound: one h1, a title, a language, a viewport that can be zoomed, no link or description that
// leads nowhere, headings in order.
func TestEveryPageIsSound(t *testing.T) {
	everyPage(t, func(t *testing.T, _ state, html string, root *node) {
		if got := len(root.all("h1")); got != 1 {
			t.Errorf("%d h1, want 1", got)
		}
		if titles := root.all("title"); len(titles) != 1 || strings.TrimSpace(titles[0].text) == "" {
			t.Errorf("want one title with words in it")
		}
		if got := root.all("html")[0].attrs["lang"]; got != "en" {
			t.Errorf("lang = %q", got)
		}
		if strings.Contains(html, "user-scalable") || strings.Contains(html, "maximum-scale") {
			t.Error("the page forbids zooming")
		}
		ids := root.byID(t)
		for _, e := range root.all() {
			for _, attr := range []string{"aria-describedby", "aria-labelledby", "for"} {
				for _, id := range strings.Fields(e.attrs[attr]) {
					if ids[id] == nil {
						t.Errorf("<%s %s=%q> leads nowhere", e.name, attr, id)
					}
				}
			}
			if id, ok := strings.CutPrefix(e.attrs["href"], "#"); ok && ids[id] == nil {
				t.Errorf("link to #%s leads nowhere", id)
			}
		}
		if strings.Contains(html, "ZgotmplZ") {
			t.Error("html/template refused a value")
		}
	})
}

// TestEveryInputHasALabel: and the attributes that browsers and password managers go by.
func TestEveryInputHasALabel(t *testing.T) {
	autocomplete := map[string]string{"email": "username", "password": "current-password", "code": "one-time-code"}
	everyPage(t, func(t *testing.T, _ state, _ string, root *node) {
		labels := map[string]string{}
		for _, l := range root.all("label") {
			labels[l.attrs["for"]] = strings.TrimSpace(l.text)
		}
		for _, in := range root.all("input") {
			if in.attrs["type"] == "hidden" {
				continue
			}
			name := in.attrs["name"]
			if in.attrs["id"] != name || labels[name] == "" {
				t.Errorf("field %q has no label", name)
			}
			if got, want := in.attrs["autocomplete"], autocomplete[name]; got != want {
				t.Errorf("field %q: autocomplete = %q, want %q", name, got, want)
			}
			if name == "code" && in.attrs["inputmode"] != "numeric" {
				t.Errorf("code: inputmode = %q", in.attrs["inputmode"])
			}
			if name == "password" && in.has("value") {
				t.Error("a password is sent back")
			}
		}
	})
}

// TestFormContract: the forms post exactly the fields of DESIGN section 7 to exactly these addresses.
func TestFormContract(t *testing.T) {
	allowed := map[string][]string{
		"/.gate/login":                {"email password", "rd email password"},
		"/.gate/login/totp":           {"code", "rd code"},
		"/.gate/enrol/totp":           {"code", "rd code"},
		"/.gate/logout":               {""},
		"/.gate/account/sessions/end": {"session", "all"},
	}
	met := map[string]bool{}
	everyPage(t, func(t *testing.T, _ state, _ string, root *node) {
		for _, f := range root.all("form") {
			var names []string
			for _, in := range f.all("input", "button", "select", "textarea") {
				if in.name == "button" && in.attrs["type"] != "submit" {
					t.Errorf("button of type %q", in.attrs["type"])
				}
				if n := in.attrs["name"]; n != "" {
					names = append(names, n)
				}
				if in.attrs["name"] == "all" && in.attrs["value"] != "others" {
					t.Errorf("all = %q, want others", in.attrs["value"])
				}
			}
			action, fields := f.attrs["action"], strings.Join(names, " ")
			if f.attrs["method"] != "post" || !slices.Contains(allowed[action], fields) {
				t.Errorf("form %s %s with fields %q is not in the contract", f.attrs["method"], action, fields)
			}
			met[action+" "+fields] = true
		}
	})
	for action, sets := range allowed {
		for _, fields := range sets {
			if !met[action+" "+fields] {
				t.Errorf("no page posts %q to %s", fields, action)
			}
		}
	}
}

// TestNoInlineStyleOrScript: the pages live within ContentSecurityPolicy (THREATS C9).
func TestNoInlineStyleOrScript(t *testing.T) {
	const want = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	if page.ContentSecurityPolicy != want {
		t.Errorf("policy = %q, want %q", page.ContentSecurityPolicy, want)
	}
	everyPage(t, func(t *testing.T, _ state, _ string, root *node) { checkInert(t, root) })
}

func checkInert(t *testing.T, root *node) {
	t.Helper()
	for _, e := range root.all() {
		switch e.name {
		case "script", "style", "iframe", "object", "embed", "base", "img":
			t.Errorf("<%s>", e.name)
		}
		for name, value := range e.attrs {
			if name == "style" || strings.HasPrefix(name, "on") {
				t.Errorf("<%s %s=%q>", e.name, name, value)
			}
			if name == "href" || name == "src" || name == "action" {
				local := strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "//") && !strings.Contains(value, `\`)
				if !local && !strings.HasPrefix(value, "#") && !strings.HasPrefix(value, "otpauth://totp/") {
					t.Errorf("<%s %s=%q> leads away", e.name, name, value)
				}
			}
		}
	}
}

// TestErrorSummary: a problem is in the title, in a summary before the heading that takes the focus, and at
// its field; without a problem at most one field takes the focus.
func TestErrorSummary(t *testing.T) {
	everyPage(t, func(t *testing.T, s state, html string, root *node) {
		failed := strings.HasPrefix(root.all("title")[0].text, "Error: ")
		var focused []*node
		for _, e := range root.all() {
			if e.has("autofocus") {
				focused = append(focused, e)
			}
		}
		if len(focused) > 1 {
			t.Errorf("%d elements want the focus", len(focused))
		}
		summary := strings.Index(html, `class="summary"`)
		if summary < 0 {
			if strings.Contains(html, "aria-invalid") {
				t.Error("a field is marked, but no summary says why")
			}
			return
		}
		if !failed {
			t.Error(`title does not begin with "Error: "`)
		}
		if summary > strings.Index(html, "<h1") {
			t.Error("the summary comes after the heading")
		}
		if len(focused) != 1 || focused[0].attrs["class"] != "summary" || focused[0].attrs["tabindex"] != "-1" {
			t.Error("the focus does not go to the summary")
		}
		for _, a := range focused[0].all("a") {
			field := root.byID(t)[strings.TrimPrefix(a.attrs["href"], "#")]
			if field == nil || field.attrs["aria-invalid"] != "true" || field.attrs["aria-describedby"] == "" {
				t.Errorf("the field of %q is not marked", a.text)
			}
		}
	})
}

// TestNeverWhichHalfWasWrong: the answer to a wrong sign-in marks both fields alike (THREATS L1).
func TestNeverWhichHalfWasWrong(t *testing.T) {
	root := parse(t, render(t, page.SignIn{Base: base, Email: email, Problem: page.WrongDetails}))
	ids := root.byID(t)
	for _, f := range []string{"email", "password"} {
		if got := ids[f].attrs["aria-invalid"]; got != "true" {
			t.Errorf("%s: aria-invalid = %q", f, got)
		}
	}
	if got := ids["email"].attrs["value"]; got != email {
		t.Errorf("email = %q, want it kept", got)
	}
}

// TestNoDeadEnd: every refusal has a way on, a reference for support and the status that fits.
func TestNoDeadEnd(t *testing.T) {
	status := map[string]int{"400": 400, "403": 403, "404": 404, "405": 405, "413": 413, "421": 421, "408": 408, "431": 431,
		"500": 500, "502": 502, "503": 503, "504": 504, "expired": 403, "network": 403, "method-not-offered": 403,
		"suspended": 403, "sso-not-set-up": 501}
	if len(status) != len(page.Kinds()) {
		t.Errorf("%d kinds, %d expected", len(page.Kinds()), len(status))
	}
	for _, k := range page.Kinds() {
		t.Run(kindNames[k], func(t *testing.T) {
			if got, want := k.Status(), status[kindNames[k]]; got != want {
				t.Errorf("status = %d, want %d", got, want)
			}
			for _, retry := range []string{"", ret, "https://evil.test/"} {
				html := render(t, page.Failure{Base: base, Kind: k, Retry: retry})
				main := parse(t, html).all("main")[0]
				if len(main.all("a"))+len(main.all("form")) == 0 {
					t.Error("a dead end")
				}
				if len(main.all("p")) < 2 {
					t.Error("does not say what to do")
				}
				if !strings.Contains(main.text, "7f3a91c2d04e") {
					t.Error("no reference")
				}
				if len(main.all("a")) > 1 && main.all("a")[0].text == main.all("a")[1].text {
					t.Error("the same way twice")
				}
			}
		})
	}
}

// TestPlainWords: no term of ours that a receptionist would have to look up.
func TestPlainWords(t *testing.T) {
	jargon := []string{"http", "oidc", "saml", "totp", "csrf", "cookie jar", "upstream", "backend", "gateway", "proxy",
		"token", "credential", "authentication", "second factor", "2fa", "mfa", "invalid", "unauthor", "forbidden",
		"bad request", "server error", "policy", "exception", "null"}
	everyPage(t, func(t *testing.T, _ state, _ string, root *node) {
		text := strings.ToLower(root.all("main")[0].text)
		for _, word := range jargon {
			if strings.Contains(text, word) {
				t.Errorf("says %q", word)
			}
		}
	})
}

// TestUnknownAddressNamesNoPractice: a stranger learns of no practice by trying names.
func TestUnknownAddressNamesNoPractice(t *testing.T) {
	html := render(t, page.Failure{Base: base, Kind: page.UnknownAddress, Email: email, Retry: "/harbour", Reload: true})
	for _, secret := range []string{"Harbour", "harbour"} {
		if strings.Contains(html, secret) {
			t.Errorf("the page says %q", secret)
		}
	}
}

// TestReloadOnlyWhereWaitingHelps: and never faster than five seconds, so that a fault is not made worse.
func TestReloadOnlyWhereWaitingHelps(t *testing.T) {
	got := map[string]string{}
	for _, k := range page.Kinds() {
		root := parse(t, render(t, page.Failure{Base: base, Kind: k, Reload: true, RetryAfter: time.Millisecond}))
		for _, m := range root.all("meta") {
			if m.attrs["http-equiv"] == "refresh" {
				got[kindNames[k]] = m.attrs["content"]
			}
		}
	}
	want := map[string]string{"502": "5", "503": "5", "504": "5"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestWaitRoundsUp: whoever waits as told is not early.
func TestWaitRoundsUp(t *testing.T) {
	rows := []struct {
		after time.Duration
		want  string
	}{
		{-time.Second, "Wait a moment,"}, {0, "Wait a moment,"}, {1, "Wait 1 second,"}, {time.Second, "Wait 1 second,"},
		{time.Second + 1, "Wait 2 seconds,"}, {90 * time.Second, "Wait 90 seconds,"}, {91 * time.Second, "Wait 2 minutes,"},
		{15 * time.Minute, "Wait 15 minutes,"}, {91 * time.Minute, "Wait 2 hours,"},
	}
	for _, r := range rows {
		html := render(t, page.SignIn{Base: base, Problem: page.TooManyTries, RetryAfter: r.after})
		if !strings.Contains(html, r.want) {
			t.Errorf("after %v: no %q", r.after, r.want)
		}
	}
}

// TestGraceNamesTheLastDay: who has until midnight has until the day before.
func TestGraceNamesTheLastDay(t *testing.T) {
	rows := []struct {
		name string
		at   time.Time
		want string
	}{
		{"midnight there", time.Date(2026, 12, 8, 0, 0, 0, 0, sydney), "Monday 7 December 2026"},
		{"midday there", time.Date(2026, 12, 8, 12, 0, 0, 0, sydney), "Tuesday 8 December 2026"},
		{"another day in UTC", time.Date(2026, 12, 7, 20, 0, 0, 0, time.UTC), "Tuesday 8 December 2026"},
	}
	for _, r := range rows {
		html := render(t, page.Enrol{Base: base, NotNow: "/", Deadline: r.at})
		if !strings.Contains(html, r.want) {
			t.Errorf("%s: no %q", r.name, r.want)
		}
	}
}

type countingWriter struct {
	writes int
	err    error
}

func (w *countingWriter) Write(b []byte) (int, error) { w.writes++; return len(b), w.err }

// TestNeverHalfAPage: a page reaches the client by one write or not at all.
func TestNeverHalfAPage(t *testing.T) {
	var w countingWriter
	if err := page.Render(&w, nil); err == nil || w.writes != 0 {
		t.Errorf("Render(nil) = %v after %d writes, want an error and none", err, w.writes)
	}
	for _, s := range states() {
		w := countingWriter{err: fmt.Errorf("connection gone")}
		if err := page.Render(&w, s.page); err != w.err || w.writes != 1 {
			t.Errorf("%s: %v after %d writes, want the writer's error after 1", s.name, err, w.writes)
		}
	}
}
