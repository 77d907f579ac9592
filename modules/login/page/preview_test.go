package page_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"clinicgate/modules/login/page"
)

// TestWritePreview writes every page into the folder that GATE_PREVIEW names, to be looked at in a browser;
// without it, into a folder that goes away, so that the way is always tried.
func TestWritePreview(t *testing.T) {
	dir := os.Getenv("GATE_PREVIEW")
	if dir == "" {
		dir = t.TempDir()
	}
	for _, url := range []string{page.StylesheetPath, page.IconPath} {
		content, _, ok := page.Asset(url)
		if !ok {
			t.Fatalf("no asset %s", url)
		}
		write(t, filepath.Join(dir, filepath.Base(url)), content)
	}
	all := states()
	for attack, text := range hostile {
		for _, s := range hostileStates(text) {
			all = append(all, state{"hostile-" + strings.ReplaceAll(attack, " ", "-") + "-" + s.name, s.page})
		}
	}
	for _, s := range all {
		html := strings.ReplaceAll(render(t, s.page), page.AssetPrefix, "")
		write(t, filepath.Join(dir, s.name+".html"), []byte(html))
	}
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func render(t testing.TB, p page.Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := page.Render(&b, p); err != nil {
		t.Fatalf("Render(%T): %v", p, err)
	}
	return b.String()
}
