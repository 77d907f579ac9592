package directory_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"clinicgate/gateway/directory"
)

func TestDiffNamesEveryChangedField(t *testing.T) {
	for name, c := range map[string]struct{ before, after, want string }{
		"nothing":             {`{"a":1}`, `{"a":1}`, ``},
		"empty is absent":     {`{"a":null,"b":[],"c":"","d":{"e":null}}`, `{}`, ``},
		"scalar":              {`{"session":{"idle":"15m"}}`, `{"session":{"idle":"10m"}}`, "session.idle: 15m → 10m"},
		"added and removed":   {`{"region":"au"}`, `{"zone":"UTC"}`, "- region: au\n+ zone: UTC"},
		"false is not absent": {`{"a":false}`, `{}`, "- a: false"},
		"number is not text":  {`{"a":15}`, `{"a":"15"}`, `a: 15 → "15"`},
		"text is not a list":  {`{"a":"[x]"}`, `{"a":["x"]}`, `a: "[x]" → [x]`},
		"list: put in":        {`{"a":["x","z"]}`, `{"a":["x","y","z"]}`, "+ a[1]: y"},
		"list: taken out":     {`{"a":["x","y","z"]}`, `{"a":["x","z"]}`, "- a[1]: y"},
		"list: order matters": {`{"a":["x","y"]}`, `{"a":["y","x"]}`, "- a[0]: x\n+ a[1]: x"},
		"list: from nothing":  {`{}`, `{"a":["x","y"]}`, "+ a: [x, y]"},
		"rules": {`{"access":[{"path":"/a/*","public":true},{"path":"/b/*","roles":["x"]}]}`,
			`{"access":[{"path":"/b/*","roles":["x","y"]}]}`,
			"- access[0]: {path: /a/*, public: true}\n- access[1]: {path: /b/*, roles: [x]}\n+ access[0]: {path: /b/*, roles: [x, y]}"},
		"map":              {`{"p":{"entra":{"issuer":"a","kind":"oidc"}}}`, `{"p":{"entra":{"issuer":"b","kind":"oidc"}}}`, "p.entra.issuer: a → b"},
		"map: entry added": {`{"p":{}}`, `{"p":{"entra":{"kind":"oidc"}}}`, "+ p.entra.kind: oidc"},
		"from nothing":     {``, `{"a":1}`, "+ a: 1"},
		"hostile text":     {`{}`, `{"a":"x\n+ b: y","c":"\u001b[2J\u202e"}`, "+ a: \"x\\n+ b: y\"\n+ c: \"\\x1b[2J\\u202e\""},
	} {
		if got := directory.DiffTexts(c.before, c.after); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

func TestDiffOfLongListsIsBounded(t *testing.T) {
	long := func(word string) string {
		b, _ := json.Marshal(map[string][]string{"a": strings.Split(strings.Repeat(word+" ", 200_000), " ")[:200_000]})
		return string(b)
	}
	if got := strings.Count(directory.DiffTexts(long("x"), long("y")), "\n") + 1; got != 400_000 {
		t.Errorf("got %d lines, want 400000", got)
	}
}

// A change that the diff does not show would be a change that nobody approved; the diff is also what a terminal prints.
func FuzzDiff(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, `{"a":["x","y"],"b":{"c":"d"}}`, `{"a":["y","x"]}`, `{"a":"1"}`, `{"a":[[],"",null,{}]}`,
		`{"a":[{"path":"/x","roles":["a"]}]}`, `[1]`, `"x"`, `{"a":"x: y"}`, `{"a":"x → y"}`, `{"":{"":1}}`, `{"a.b":1}`} {
		f.Add(s, `{"a":["x"]}`)
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		old, okOld := plain(before)
		now, okNow := plain(after)
		if !okOld || !okNow {
			return
		}
		got := directory.DiffTexts(before, after)
		if same := reflect.DeepEqual(old, now); same != (got == "") {
			t.Errorf("%s and %s: same %v, diff %q", before, after, same, got)
		}
		for _, r := range got {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("the diff holds the unprintable %U", r)
			}
		}
	})
}

// plain decodes a document independently: what is empty is left out, as in a policy. It refuses what no document has:
// repeated or odd names, numbers in several spellings, deep nesting.
func plain(text string) (any, bool) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil || d.More() {
		return nil, false
	}
	canonical, err := json.Marshal(v)
	var compact bytes.Buffer
	if err != nil || json.Compact(&compact, []byte(text)) != nil || len(canonical) != compact.Len() {
		return nil, false
	}
	return strip(v, 8)
}

func strip(v any, depth int) (any, bool) {
	if depth == 0 {
		return nil, false
	}
	ok := true
	switch v := v.(type) {
	case string:
		return v, !strings.ContainsRune(v, unicode.ReplacementChar)
	case map[string]any:
		out := map[string]any{}
		for name, item := range v {
			item, fine := strip(item, depth-1)
			ok = ok && fine && name != "" && !strings.ContainsAny(name, ".[]")
			if !empty(item) {
				out[name] = item
			}
		}
		return out, ok
	case []any:
		out := []any{}
		for _, item := range v {
			item, fine := strip(item, depth-1)
			if empty(item) {
				item = nil
			}
			ok, out = ok && fine, append(out, item)
		}
		return out, ok
	}
	return v, true
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// A stored document is outside input too: whatever reads it never panics, and what it accepts has one encoding.
func FuzzStoredDocument(f *testing.F) {
	for _, id := range []string{"harbour", "banksia"} {
		text, err := json.Marshal(document(f, id, []string{id + ".localhost"}, "access: [{path: /a/*, public: true}]",
			"step_up: [{path: /b, methods: [POST], level: aal2-pr, max_age: 10m}]"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(`{"practice":"x","unknown":1}`)
	f.Add(`{"sign_in":{"second_factor":{"grace_until":"2026-01-02T03:04:05+10:00"},"sso":{"provider":"a"}},"providers":{"a":{}}}`)
	f.Add(`{} {}`)
	f.Fuzz(func(t *testing.T, text string) {
		once, err := directory.Recode(text)
		if err != nil {
			return
		}
		twice, err := directory.Recode(once)
		if err != nil || once != twice {
			t.Errorf("%s\nbecame %s\nand then %s, %v", text, once, twice, err)
		}
		if got := directory.DiffTexts(once, twice); got != "" {
			t.Errorf("a document differs from itself: %s", got)
		}
	})
}
