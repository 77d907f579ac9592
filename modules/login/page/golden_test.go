package page_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"clinicgate/modules/login/page"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

// TestGolden compares every state of every page with testdata. The assets' names are taken out: they change
// with every colour.
func TestGolden(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range states() {
		file := filepath.Join("testdata", s.name+".html")
		seen[filepath.Base(file)] = true
		t.Run(s.name, func(t *testing.T) {
			got := strings.NewReplacer(page.StylesheetPath, "STYLESHEET", page.IconPath, "ICON").Replace(render(t, s.page))
			if *update {
				write(t, file, []byte(got))
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v (write it with -update, then read it)", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	files, err := filepath.Glob("testdata/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[filepath.Base(f)] {
			t.Errorf("%s belongs to no state", f)
		}
	}
}
