// Package architecture_test keeps the shape of the module: which folder may import which (DESIGN section 3), and the
// house rules that a reviewer should not have to look for.
package architecture_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestImportsPointFromTheGatewayToThePolicy(t *testing.T) { enforce(t, imports) }

func TestCaddyAndHTTPStayOutOfTheCore(t *testing.T) { enforce(t, outside) }

func TestTimeAndRandomnessAreParameters(t *testing.T) { enforce(t, clockAndDice) }

func TestFilesStopAt500Lines(t *testing.T) { enforce(t, fileLength) }

func TestFunctionsStopAt100Lines(t *testing.T) { enforce(t, functionLength) }

func TestNoTestIsSkipped(t *testing.T) { enforce(t, noSkips) }

func TestEmbeddedFilesAreMeantForTheBinary(t *testing.T) { enforce(t, embedded) }

func TestEachPackageSaysOnceWhatItIsFor(t *testing.T) {
	for _, violation := range packageComments(module(t)) {
		t.Error(violation)
	}
}

// enforce applies a rule to every file of the module.
func enforce(t *testing.T, rule func(*file) []string) {
	t.Helper()
	for _, f := range module(t) {
		for _, violation := range rule(f) {
			t.Error(violation)
		}
	}
}

// A reader that finds nothing would make every rule above hold.
func TestWholeModuleIsRead(t *testing.T) {
	found := map[string]bool{}
	for _, f := range module(t) {
		found[f.dir] = true
	}
	for _, dir := range []string{"policy", "config", "certs", "gateway", "gateway/core", "gateway/directory", "gateway/database",
		"modules/forward", "modules/login/page", "tests/architecture"} {
		if !found[dir] {
			t.Errorf("%s: no Go file of it was read", dir)
		}
	}
	for dir := range found {
		if layerOf(dir) == nil {
			t.Errorf("%s: the folder has no place in the import rule: see layers in imports_test.go and DESIGN section 3", dir)
		}
	}
}

// Every rule refuses what it is there for.
func TestRulesRefuse(t *testing.T) {
	for name, c := range violations() {
		t.Run(name, func(t *testing.T) {
			f, err := parse(c.path, []byte(c.source))
			if err != nil {
				t.Fatal(err)
			}
			f.root = t.TempDir()
			got := c.rule(f)
			if len(got) != 1 {
				t.Fatalf("got %q, want one violation", got)
			}
			if got[0] != c.want {
				t.Errorf("got  %s\nwant %s", got[0], c.want)
			}
		})
	}
}

func TestRulesAccept(t *testing.T) {
	for name, c := range accepted() {
		f, err := parse(c.path, []byte(c.source))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f.root = t.TempDir()
		for _, rule := range []func(*file) []string{imports, outside, clockAndDice, fileLength, functionLength, noSkips, embedded} {
			if got := rule(f); len(got) > 0 {
				t.Errorf("%s: got %q, want none", name, got)
			}
		}
	}
}

func TestPackageCommentRuleRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		sources map[string]string
		want    []string
	}{
		"one":     {map[string]string{"a/a.go": "// Package a does things.\npackage a", "a/b.go": "package a", "a/a_test.go": "package a_test"}, nil},
		"command": {map[string]string{"gateway/main.go": "// Command gateway runs.\npackage main"}, nil},
		"none":    {map[string]string{"a/a.go": "package a"}, []string{"a: package a has no package comment: say in its main file what it is for"}},
		"two": {map[string]string{"a/a.go": "// Package a does things.\npackage a", "a/b.go": "// Package a is.\npackage a"},
			[]string{"a: package a has 2 package comments (a.go, b.go): keep the one in its main file"}},
		"no sentence": {map[string]string{"a/a.go": "// Package a\npackage a"},
			[]string{"a/a.go: the package comment is no sentence: write \"Package a …\" up to a full stop"}},
		"another name": {map[string]string{"a/a.go": "// Package b does things.\npackage a"},
			[]string{"a/a.go: the package comment is no sentence: write \"Package a …\" up to a full stop"}},
		"test comments on the package": {map[string]string{"a/a.go": "// Package a does.\npackage a", "a/a_test.go": "// Package a_test tests.\npackage a_test"},
			[]string{"a: package a has 2 package comments (a.go, a_test.go): keep the one in its main file"}},
		"only tests": {map[string]string{"a/a_test.go": "// Package a_test tests.\npackage a_test"}, nil},
	} {
		var files []*file
		for path, source := range c.sources {
			f, err := parse(path, []byte(source))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		slices.SortFunc(files, byPath)
		if got := packageComments(files); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestEmbeddedSecretsAndStrayFilesAreRefused(t *testing.T) {
	f, err := parse("gateway/demo/x.go", []byte("package p\n\n//go:embed pages\nvar x int\n"))
	if err != nil {
		t.Fatal(err)
	}
	f.root = t.TempDir()
	pages := filepath.Join(f.root, "gateway", "demo", "pages")
	if err := os.MkdirAll(pages, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"fine.html": "<p>", "registry.db": "x", "key.txt": "-----BEGIN EC PRIVATE " + "KEY-----\n", "large.css": strings.Repeat("x", maxEmbedded+1),
	} {
		if err := os.WriteFile(filepath.Join(pages, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := strings.Join(embedded(f), "\n")
	for _, want := range []string{"takes in registry.db: only", "takes in key.txt: it holds a private key", "takes in large.css: it has 1048577 bytes"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
	if strings.Contains(got, "fine.html") {
		t.Errorf("got %q, want fine.html accepted", got)
	}
}
