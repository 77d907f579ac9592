package page_test

import (
	"strconv"
	"strings"
	"testing"

	"clinicgate/modules/login/page"

	"rsc.io/qr"
)

// TestQRCodeIsTheKey: the drawn path is, dot by dot, the code of the URI, with its quiet border.
func TestQRCodeIsTheKey(t *testing.T) {
	want, err := qr.Encode(uri, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	var picture *node
	for _, e := range parse(t, render(t, page.Enrol{Base: base, Secret: secret, URI: uri})).all("svg") {
		if e.attrs["class"] == "qr" {
			picture = e
		}
	}
	if picture == nil || picture.attrs["role"] != "img" || picture.attrs["aria-label"] == "" {
		t.Fatal("no QR code with a text for who cannot see it")
	}
	side := strconv.Itoa(want.Size + 8)
	if got := picture.attrs["viewBox"]; got != "0 0 "+side+" "+side {
		t.Errorf("viewBox = %q, want a side of %s", got, side)
	}
	got := dots(t, picture.all("path")[1].attrs["d"])
	for y := -4; y < want.Size+4; y++ {
		for x := -4; x < want.Size+4; x++ {
			if got[[2]int{x + 4, y + 4}] != want.Black(x, y) {
				t.Fatalf("dot %d,%d differs", x, y)
			}
		}
	}
}

// dots reads the path back: M x y h w v 1 h -w z, again and again.
func dots(t *testing.T, path string) map[[2]int]bool {
	t.Helper()
	black := map[[2]int]bool{}
	for _, run := range strings.Split(strings.TrimPrefix(path, "M"), "M") {
		at, rest, ok := strings.Cut(run, "h")
		xs, ys, ok2 := strings.Cut(at, " ")
		ws, _, ok3 := strings.Cut(rest, "v1h-")
		x, err := strconv.Atoi(xs)
		y, err2 := strconv.Atoi(ys)
		w, err3 := strconv.Atoi(ws)
		if !ok || !ok2 || !ok3 || err != nil || err2 != nil || err3 != nil || run != at+"h"+ws+"v1h-"+ws+"z" {
			t.Fatalf("path has %q", run)
		}
		for i := range w {
			black[[2]int{x + i, y}] = true
		}
	}
	return black
}

// TestKeyCopiesWithoutGaps: shown in fours, yet copied as one word, since some apps do not take blanks.
func TestKeyCopiesWithoutGaps(t *testing.T) {
	root := parse(t, render(t, page.Enrol{Base: base, Secret: strings.ToLower(secret)}))
	key := root.all("code")[0]
	if key.text != secret {
		t.Errorf("copied key = %q, want %q", key.text, secret)
	}
	for _, g := range key.all("span") {
		if len(g.text) != 4 {
			t.Errorf("group %q", g.text)
		}
	}
}

// TestOnlyAnOtpauthLink: the one link that html/template does not check itself.
func TestOnlyAnOtpauthLink(t *testing.T) {
	rows := []struct {
		name, uri string
		want      bool
	}{
		{"usual", uri, true},
		{"script", "javascript:alert(1)", false},
		{"other host", "otpauth://hotp/x", false},
		{"quote", `otpauth://totp/x"onclick=alert(1)`, false},
		{"blank", "otpauth://totp/x y", false},
		{"upper case scheme", "OTPAUTH://totp/x", false},
		{"too long", "otpauth://totp/" + strings.Repeat("x", 512), false},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			root := parse(t, render(t, page.Enrol{Base: base, Secret: secret, URI: r.uri}))
			checkInert(t, root)
			got := false
			for _, a := range root.all("a") {
				got = got || strings.HasPrefix(a.attrs["href"], "otpauth:")
			}
			if got != r.want {
				t.Errorf("link = %v, want %v", got, r.want)
			}
		})
	}
}
