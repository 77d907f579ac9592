package practice_test

import (
	"net/http"
	"strings"
	"testing"

	"clinicgate/modules/practice"
)

func TestOwnCookiesAreTakenAndOthersLeft(t *testing.T) {
	for name, c := range map[string]struct {
		lines                       []string
		session, flow, device, left string
	}{
		"none":                   {lines: nil},
		"ours alone":             {lines: []string{"__Host-gate=t"}, session: "t"},
		"all three":              {lines: []string{"__Host-gate=t; __Host-gate-flow=f; __Host-gate-device=d"}, session: "t", flow: "f", device: "d"},
		"among others":           {lines: []string{"a=1; __Host-gate=t; b=2"}, session: "t", left: "a=1; b=2"},
		"over lines":             {lines: []string{"a=1", "__Host-gate=t", "b=2"}, session: "t", left: "a=1; b=2"},
		"twice":                  {lines: []string{"__Host-gate=t; __Host-gate=u"}},
		"twice over lines":       {lines: []string{"__Host-gate=t", "__Host-gate=t"}},
		"three times":            {lines: []string{"__Host-gate=t; __Host-gate=t; __Host-gate=t"}},
		"other case":             {lines: []string{"__host-gate=t; a=1"}, left: "a=1"},
		"quoted name":            {lines: []string{`"__Host-gate"=t; a=1`}, left: "a=1"},
		"no-break blank":         {lines: []string{"\u00a0__Host-gate=t; a=1"}, left: "a=1"},
		"next line":              {lines: []string{"\u0085__Host-gate=t; a=1"}, left: "a=1"},
		"longer name":            {lines: []string{"__Host-gatex=t; a=1"}, left: "a=1"},
		"blank before the sign":  {lines: []string{"__Host-gate =t; a=1"}, left: "a=1"},
		"nameless":               {lines: []string{"=__Host-gate=t; a=1"}, left: "a=1"},
		"attributes of RFC 2109": {lines: []string{"$Version=1; a=1; $Path=/"}, left: "a=1"},
		"value with signs":       {lines: []string{"__Host-gate=a=b"}, session: "a=b"},
		"no value":               {lines: []string{"__Host-gate; a"}, left: "a"},
		"quoted value":           {lines: []string{`__Host-gate="t"; a="x`}, session: `"t"`, left: `a="x`},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			if c.lines != nil {
				h["Cookie"] = c.lines
			}
			own := practice.TakeCookies(h)
			if own.Session != c.session || own.Flow != c.flow || own.Device != c.device {
				t.Errorf("took %+v, want %q, %q, %q", own, c.session, c.flow, c.device)
			}
			if got := h.Get("Cookie"); got != c.left || len(h["Cookie"]) > 1 || c.left == "" && h["Cookie"] != nil {
				t.Errorf("left %q, want %q", h["Cookie"], c.left)
			}
		})
	}
}

func TestCookiesAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		line string
		want bool
	}{
		"a few": {"a=1; b=2", false}, "100": {strings.Repeat("a;", 99) + "a", false}, "101": {strings.Repeat("a;", 100) + "a", true},
		"8 KiB": {strings.Repeat("a", 8<<10), false}, "more": {strings.Repeat("a", 8<<10+1), true},
	} {
		if got := practice.TooManyCookies(http.Header{"Cookie": {c.line}}); got != c.want {
			t.Errorf("%s: got %t, want %t", name, got, c.want)
		}
	}
}

func FuzzTakeCookies(f *testing.F) {
	for _, seed := range []string{"a=1", "__Host-gate=t", "__Host-gate=t; __Host-gate=u", `"__Host-gate"=t`, "=__Host-gate=t", "$Version=1; a", ";;", "\u00a0__HOST-GATE-flow=x", "a=__Host-gate=t"} {
		f.Add(seed, "b=2")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		h := http.Header{"Cookie": {first, second}}
		own := practice.TakeCookies(h)
		if own.Session != "" && strings.Count(first+";"+second, "__Host-gate="+own.Session) < 1 {
			t.Errorf("took %q out of %q and %q", own.Session, first, second)
		}
		left := h.Get("Cookie")
		for pair := range strings.SplitSeq(left, ";") {
			name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if strings.HasPrefix(strings.ToLower(strings.Trim(name, " \t\"")), "__host-gate") {
				t.Errorf("%q is left", left)
			}
		}
		again := practice.TakeCookies(h)
		if again.Session != "" || again.Flow != "" || again.Device != "" || h.Get("Cookie") != left {
			t.Errorf("a second look finds %+v and %q in %q", again, h.Get("Cookie"), left)
		}
	})
}
