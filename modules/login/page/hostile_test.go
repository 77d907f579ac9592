package page_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"clinicgate/modules/login/page"
)

// TestHostileText: whatever a practice, a person or a browser is called, a page keeps its elements and
// attributes, its direction and its size (THREATS C9, P4).
func TestHostileText(t *testing.T) {
	known := shapes(t)
	for attack, text := range hostile {
		for _, s := range hostileStates(text) {
			t.Run(attack+"/"+s.name, func(t *testing.T) { checkHostile(t, render(t, s.page), known) })
		}
	}
}

// shapes are all pairs of element and attribute that harmless pages have.
func shapes(t testing.TB) map[string]bool {
	known := map[string]bool{}
	all := append(states(), hostileStates("Harmless")...)
	for _, s := range append(all, hostileStates("/harmless")...) {
		for _, e := range parse(t, render(t, s.page)).all() {
			known[e.name] = true
			for a := range e.attrs {
				known[e.name+" "+a] = true
			}
		}
	}
	return known
}

func checkHostile(t *testing.T, html string, known map[string]bool) {
	t.Helper()
	if len(html) > 32<<10 {
		t.Errorf("%d bytes", len(html))
	}
	if !utf8.ValidString(html) {
		t.Error("not UTF-8")
	}
	for _, r := range html {
		if r != '\n' && unicode.IsControl(r) || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 || r == 0x2028 || r == 0x2029 {
			t.Errorf("character %U", r)
			break
		}
	}
	root := parse(t, html)
	checkInert(t, root)
	root.byID(t)
	for _, e := range root.all() {
		if !known[e.name] {
			t.Errorf("<%s> is new", e.name)
		}
		for a := range e.attrs {
			if !known[e.name+" "+a] {
				t.Errorf("<%s %s> is new", e.name, a)
			}
		}
	}
}

// TestNamesAreIsolated: text from outside stands in a <bdi>, so that a right-to-left name turns around nothing
// but itself. The title is text only.
func TestNamesAreIsolated(t *testing.T) {
	const mark = "Qqmark"
	for _, s := range hostileStates(mark) {
		t.Run(s.name, func(t *testing.T) {
			for _, e := range parse(t, render(t, s.page)).all() {
				if len(e.children) == 0 && strings.Contains(e.text, mark) && e.name != "bdi" && e.name != "title" {
					t.Errorf("<%s> %q is not isolated", e.name, e.text)
				}
				if len(e.children) > 0 && strings.Contains(own(e), mark) {
					t.Errorf("<%s> shows %q outside <bdi>", e.name, own(e))
				}
			}
		})
	}
}

// own is the element's text without its children's.
func own(n *node) string {
	text := n.text
	for _, c := range n.children {
		text = strings.Replace(text, c.text, "", 1)
	}
	return text
}

// TestLongNamesAreCut: with an ellipsis, so that it shows that something is missing.
func TestLongNamesAreCut(t *testing.T) {
	root := parse(t, render(t, page.SignIn{Base: page.Base{Practice: longWord(10_000)}}))
	got := root.all("bdi")[0].text
	if n := utf8.RuneCountInString(got); n != 80 || !strings.HasSuffix(got, "W…") {
		t.Errorf("%d characters, ending %q; want 80 with an ellipsis", n, got[len(got)-6:])
	}
	exact := longWord(80)
	root = parse(t, render(t, page.SignIn{Base: page.Base{Practice: exact}}))
	if got := root.all("bdi")[0].text; got != exact {
		t.Errorf("a name of 80 characters was changed to %q", got)
	}
}

var returns = []struct{ name, in, want string }{
	{"path", "/patients/1?tab=2&x=%20#notes", "/patients/1?tab=2&x=%20#notes"},
	{"start page", "/", "/"},
	{"scheme relative", "//evil.test", ""},
	{"backslash", `/\evil.test`, ""},
	{"later backslash", `/a\b`, ""},
	{"tab", "/\t/evil.test", ""},
	{"scheme without slashes", "https:evil.test", ""},
	{"other host", "http://harbour.test@evil.test", ""},
	{"script", "javascript:alert(1)", ""},
	{"blank before", " /a", ""},
	{"new line", "/a\r\nSet-Cookie: x=1", ""},
	{"not ASCII", "/ä", ""},
	{"too long", "/" + strings.Repeat("a", 2048), ""},
	{"empty", "", ""},
}

// TestReturnStaysHere: a return address that leads anywhere else is not carried on (THREATS R).
func TestReturnStaysHere(t *testing.T) {
	for _, r := range returns {
		t.Run(r.name, func(t *testing.T) {
			for _, p := range []page.Page{page.SignIn{Return: r.in}, page.SecondFactor{Return: r.in}, page.StepUp{Return: r.in}} {
				if got := hidden(parse(t, render(t, p)), "rd"); got != r.want {
					t.Errorf("%T: rd = %q, want %q", p, got, r.want)
				}
			}
			links := map[page.Page]string{page.ConfirmLogout{Return: r.in}: "Stay signed in", page.Enrol{NotNow: r.in}: "Not now"}
			for p, text := range links {
				root := parse(t, render(t, p))
				checkInert(t, root)
				for _, a := range root.all("a") {
					if a.text == text && a.attrs["href"] != r.want && a.attrs["href"] != "/" {
						t.Errorf("%T: %s = %q", p, text, a.attrs["href"])
					}
				}
			}
		})
	}
}

func hidden(root *node, name string) string {
	for _, in := range root.all("input") {
		if in.attrs["name"] == name {
			return in.attrs["value"]
		}
	}
	return ""
}

// TestAreaIsAPlainWord: what names an area can carry no sentence of a stranger.
func TestAreaIsAPlainWord(t *testing.T) {
	rows := []struct{ in, want string }{
		{"/prescriptions/*", "prescriptions"}, {"/prescriptions", "prescriptions"}, {"/lab-results/17", "lab results"},
		{"/", ""}, {"", ""}, {"/*", ""}, {"/ab", ""}, {"/Billing", ""}, {"/a1c", ""}, {"/-abc", ""}, {"/abc-", ""}, {"/a--b", ""},
		{"/" + strings.Repeat("a", 25), ""}, {"/<b>", ""}, {"/.gate/x", ""},
	}
	for _, r := range rows {
		if got := page.Area(r.in); got != r.want {
			t.Errorf("Area(%q) = %q, want %q", r.in, got, r.want)
		}
	}
	html := render(t, page.Failure{Base: base, Kind: page.NotAllowed, Area: "Call 555-0100 now!"})
	if strings.Contains(html, "555") {
		t.Error("an area that is no plain word reaches the page")
	}
}

// TestReferenceFindsTheRequest: it is the end of the request id, so that a search of the logs finds it.
func TestReferenceFindsTheRequest(t *testing.T) {
	rows := []struct{ name, in, want string }{
		{"uuid", "01932f6e-5c1e-7d35-9c4b-7f3a91c2d04e", "7f3a91c2d04e"},
		{"short", "abc", "abc"}, {"empty", "", ""}, {"hostile", `"><b>x\u202e`, "bxu202e"},
		{"long", strings.Repeat("z", 10_000), strings.Repeat("z", 12)},
	}
	for _, r := range rows {
		if got := page.Reference(r.in); got != r.want {
			t.Errorf("%s: %q, want %q", r.name, got, r.want)
		}
	}
}

// TestManySessionsAreBounded: the list ends, says how many are left, and all can be ended.
func TestManySessionsAreBounded(t *testing.T) {
	p := account()
	p.Sessions = slices.Repeat(p.Sessions[1:2], 2000)
	p.Roles = slices.Repeat([]string{"clinician"}, 2000)
	html := render(t, p)
	root := parse(t, html)
	if got := len(root.all("ul")[0].children); got != 50 {
		t.Errorf("%d sessions listed, want 50", got)
	}
	if !strings.Contains(html, "And 1950 more.") || hidden(root.all("main")[0], "all") != "others" {
		t.Error("the rest is neither told nor ended")
	}
	if got := strings.Count(html, "Clinician</bdi>"); got != 12 {
		t.Errorf("%d roles listed, want 12", got)
	}
}

// FuzzText: no text from outside changes a page's structure or makes it large.
func FuzzText(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	for _, r := range returns {
		f.Add(r.in)
	}
	known := shapes(f)
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range hostileStates(text) {
			checkHostile(t, render(t, s.page), known)
		}
	})
}
