package page_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"clinicgate/modules/login/page"
)

// css returns the stylesheet as it is served.
func css(t *testing.T) string {
	t.Helper()
	content, contentType, ok := page.Asset(page.StylesheetPath)
	if !ok || contentType != "text/css; charset=utf-8" {
		t.Fatalf("stylesheet: %v, %q", ok, contentType)
	}
	return string(content)
}

// pairs are the foregrounds and backgrounds that meet on a page, with the ratio that WCAG 2.2 asks for: 4.5 for
// text (1.4.3), 3 for borders of fields and the focus ring (1.4.11).
var pairs = []struct {
	fore, back string
	least      float64
}{
	{"ink", "ground", 4.5}, {"ink", "card", 4.5}, {"ink", "error-ground", 4.5}, {"ink", "note-ground", 4.5},
	{"soft", "ground", 4.5}, {"soft", "card", 4.5},
	{"on-brand", "brand", 4.5},
	{"action", "ground", 4.5}, {"action", "card", 4.5}, {"action", "note-ground", 4.5},
	{"action-over", "ground", 4.5}, {"action-over", "card", 4.5}, {"action-over", "note-ground", 4.5},
	{"on-action", "action", 4.5}, {"on-action", "action-over", 4.5},
	{"error", "ground", 4.5}, {"error", "card", 4.5}, {"error", "error-ground", 4.5},
	{"line", "ground", 3}, {"line", "card", 3},
	{"focus", "ground", 3}, {"focus", "card", 3}, {"focus", "note-ground", 3}, {"focus", "error-ground", 3},
}

// TestContrast computes every pair in both colour schemes.
func TestContrast(t *testing.T) {
	text := css(t)
	light, dark, ok := strings.Cut(text, "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("no dark scheme")
	}
	dark, _, _ = strings.Cut(dark, "\n}\n")
	for scheme, block := range map[string]string{"light": light, "dark": dark} {
		colours := variables(t, block)
		used := map[string]bool{"rule": true, "motif": true} // ornament only
		for _, p := range pairs {
			used[p.fore], used[p.back] = true, true
			got := ratio(colours[p.fore], colours[p.back])
			if got < p.least {
				t.Errorf("%s: %s on %s is %.2f, want at least %.1f", scheme, p.fore, p.back, got, p.least)
			}
		}
		for name := range colours {
			if !used[name] {
				t.Errorf("%s: nobody checks --%s", scheme, name)
			}
		}
	}
	rest := text[strings.Index(text, "*, ::before"):]
	for _, c := range regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b`).FindAllString(rest, -1) {
		if c != "#ffffff" && c != "#000000" { // the QR code's paper and dots
			t.Errorf("colour %s is not one of the variables", c)
		}
	}
}

// TestContrastFormula pins it by the known ends of its scale.
func TestContrastFormula(t *testing.T) {
	white, black := [3]float64{255, 255, 255}, [3]float64{}
	if got := ratio(white, black); math.Abs(got-21) > 1e-9 {
		t.Errorf("white on black = %v, want 21", got)
	}
	if got := ratio([3]float64{0x76, 0x76, 0x76}, white); got < 4.54 || got > 4.55 {
		t.Errorf("#767676 on white = %v, want 4.54", got)
	}
}

func variables(t *testing.T, block string) map[string][3]float64 {
	t.Helper()
	colours := map[string][3]float64{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(block, -1) {
		n, err := strconv.ParseUint(m[2], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		colours[m[1]] = [3]float64{float64(n >> 16), float64(n >> 8 & 255), float64(n & 255)}
	}
	if len(colours) != strings.Count(block, "\n  --")+strings.Count(block, "\n    --") || len(colours) < 10 {
		t.Fatalf("%d colours read of %q", len(colours), block)
	}
	return colours
}

// ratio is WCAG 2.2's contrast ratio.
func ratio(a, b [3]float64) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + .05) / (min(la, lb) + .05)
}

func luminance(c [3]float64) float64 {
	var l float64
	for i, weight := range [3]float64{.2126, .7152, .0722} {
		v := c[i] / 255
		if v <= .04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+.055)/1.055, 2.4)
		}
		l += weight * v
	}
	return l
}

// TestStylesheetStaysSmallAndHome: under 12 KiB, nothing fetched from elsewhere, and the modes people depend on.
func TestStylesheetStaysSmallAndHome(t *testing.T) {
	text := css(t)
	if len(text) >= 12<<10 {
		t.Errorf("%d bytes, want less than 12 KiB", len(text))
	}
	for _, bad := range []string{"url(", "@import", "expression(", "outline: none", "outline: 0", "<"} {
		if strings.Contains(text, bad) {
			t.Errorf("has %q", bad)
		}
	}
	for _, want := range []string{":focus-visible", "prefers-color-scheme: dark", "prefers-reduced-motion", "forced-colors: active"} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q", want)
		}
	}
	if strings.Count(text, "{") != strings.Count(text, "}") {
		t.Error("braces do not match")
	}
}

// TestBigTargets: fields and buttons are at least 44 px high (2.75rem at the browser's default).
func TestBigTargets(t *testing.T) {
	text := css(t)
	for _, selector := range []string{"\ninput {", "\nbutton, .button {", "\n.quiet {"} {
		_, rule, ok := strings.Cut(text, selector)
		rule, _, _ = strings.Cut(rule, "}")
		m := regexp.MustCompile(`min-height: ([0-9.]+)rem`).FindStringSubmatch(rule)
		if !ok || m == nil {
			t.Errorf("%s has no min-height", strings.TrimSpace(selector))
			continue
		}
		if rem, err := strconv.ParseFloat(m[1], 64); err != nil || rem*16 < 44 {
			t.Errorf("%s: %s rem high, want at least 2.75", strings.TrimSpace(selector), m[1])
		}
	}
}

// TestEveryClassHasAStyle, and no style without a class: nothing is left behind.
func TestEveryClassHasAStyle(t *testing.T) {
	used := map[string]bool{"touch": true}
	for _, s := range states() {
		for _, e := range parse(t, render(t, s.page)).all() {
			for _, c := range strings.Fields(e.attrs["class"]) {
				used[c] = true
			}
		}
	}
	styled := map[string]bool{}
	for _, m := range regexp.MustCompile(`\.([a-z][a-z-]*)`).FindAllStringSubmatch(css(t), -1) {
		styled[m[1]] = true
		if !used[m[1]] {
			t.Errorf(".%s is on no page", m[1])
		}
	}
	for c := range used {
		if !styled[c] {
			t.Errorf("class %q has no style", c)
		}
	}
}

// TestAssetsAreNamedByContent: the name is the content's hash, and nothing else can be asked for.
func TestAssetsAreNamedByContent(t *testing.T) {
	for _, path := range []string{page.StylesheetPath, page.IconPath} {
		content, contentType, ok := page.Asset(strings.TrimPrefix(path, page.AssetPrefix))
		if !ok || contentType == "" || len(content) == 0 {
			t.Fatalf("no asset %s", path)
		}
		sum := sha256.Sum256(content)
		if !strings.Contains(path, hex.EncodeToString(sum[:8])) {
			t.Errorf("%s is not named after its content", path)
		}
		if again, _, ok := page.Asset(path); !ok || !bytes.Equal(content, again) {
			t.Errorf("%s is not found by its whole path", path)
		}
	}
	for _, name := range []string{"", "gate.css", "../page.go", "assets/gate.css", "gate-0000000000000000.css"} {
		if _, _, ok := page.Asset(name); ok {
			t.Errorf("Asset(%q) found something", name)
		}
	}
}
