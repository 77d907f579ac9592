package docs_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"clinicgate/tests/harness"
)

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(harness.Root(), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// documents are the texts that are checked, by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"README.md": read(t, "README.md")}
	for _, root := range []string{"docs", "config"} {
		err := fs.WalkDir(os.DirFS(harness.Root()), root, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && strings.HasSuffix(name, ".md") {
				all[name] = read(t, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 15 {
		t.Fatalf("found only %d documents", len(all))
	}
	return all
}

var (
	fence   = regexp.MustCompile("(?ms)^ *```([a-z]*)\n(.*?)^ *```")
	span    = regexp.MustCompile("`([^`\n]+)`")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	mark    = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// prose is a document without its code blocks.
func prose(text string) string { return fence.ReplaceAllString(text, "") }

// TestLinksInTheDocumentsLeadSomewhere follows every relative link, to the heading.
func TestLinksInTheDocumentsLeadSomewhere(t *testing.T) {
	all := documents(t)
	for name, text := range all {
		for _, found := range link.FindAllStringSubmatch(prose(text), -1) {
			if strings.Contains(found[1], "://") || strings.HasPrefix(found[1], "mailto:") {
				continue
			}
			target, anchor, _ := strings.Cut(found[1], "#")
			file := name
			if target != "" {
				file = path.Join(path.Dir(name), target)
			}
			if _, err := os.Stat(filepath.Join(harness.Root(), file)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", name, found[1])
			} else if anchor != "" && !anchors(all[file])[anchor] {
				t.Errorf("%s: %s has no heading #%s", name, file, anchor)
			}
		}
	}
}

// anchors are the names under which a document's headings are linked to.
func anchors(text string) map[string]bool {
	names := map[string]bool{}
	for _, h := range heading.FindAllStringSubmatch(prose(text), -1) {
		names[strings.ReplaceAll(mark.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")] = true
	}
	return names
}

// TestFoldersInThePictureExist keeps the picture of the request's way in step.
func TestFoldersInThePictureExist(t *testing.T) {
	folders := regexp.MustCompile(`>([a-z]+/[a-z]*)/?<`).FindAllStringSubmatch(read(t, "docs/pictures/chain.svg"), -1)
	if len(folders) < 10 {
		t.Fatalf("found only %d folders", len(folders))
	}
	for _, f := range folders {
		if info, err := os.Stat(filepath.Join(harness.Root(), f[1])); err != nil || !info.IsDir() {
			t.Errorf("there is no folder %s", f[1])
		}
	}
}
