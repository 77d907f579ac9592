package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"clinicgate/tests/harness"
)

var (
	command = regexp.MustCompile(`(?:^|[\s/])gateway((?: [a-z][a-z-]*)+)([^|#]*)`)
	option  = regexp.MustCompile(`(?:^|[\s\[])(--?[a-z][a-z-]*)`)
)

// use is a command as a document writes it.
type use struct {
	words []string // "practice", "apply"
	flags []string
}

// usesOf finds commands in shell blocks and in inline code, not in quoted output.
func usesOf(text string) (uses []use) {
	var lines []string
	for _, block := range fence.FindAllStringSubmatch(text, -1) {
		if block[1] == "sh" {
			lines = append(lines, strings.Split(strings.ReplaceAll(block[2], "\\\n", " "), "\n")...)
		}
	}
	for _, code := range span.FindAllStringSubmatch(prose(text), -1) {
		lines = append(lines, code[1])
	}
	for _, line := range lines {
		code, _, _ := strings.Cut(line, " #")
		for _, found := range command.FindAllStringSubmatch(code, -1) {
			u := use{words: strings.Fields(found[1])}
			for _, flag := range option.FindAllStringSubmatch(found[2], -1) {
				u.flags = append(u.flags, flag[1])
			}
			uses = append(uses, u)
		}
	}
	return uses
}

// TestCommandsInTheDocumentsExist asks the built program for the help of every command
// that a document names, and looks for every option in it.
func TestCommandsInTheDocumentsExist(t *testing.T) {
	helps := map[string]string{}
	help := func(words ...string) string {
		key := strings.Join(words, " ")
		if _, known := helps[key]; !known {
			out, errs, _ := harness.Run(t, "", slices.Concat(words, []string{"--help"})...)
			helps[key] = out + errs
		}
		return helps[key]
	}
	count := 0
	for name, text := range documents(t) {
		for _, u := range usesOf(text) {
			count++
			words := u.words[:1]
			page := help(words...)
			if strings.Contains(page, "gateway "+words[0]+" SUBCOMMAND") && len(u.words) > 1 {
				words = u.words[:2]
				page = help(words...)
			}
			called := regexp.MustCompile(`(?m)^\s*gateway ` + regexp.QuoteMeta(strings.Join(words, " ")) + `(\s|$)`)
			if !called.MatchString(page) {
				t.Errorf("%s: there is no command gateway %s", name, strings.Join(words, " "))
				continue
			}
			for _, flag := range u.flags {
				if !regexp.MustCompile(`(?m)^.*(\s|^)` + regexp.QuoteMeta(flag) + `[\s,]`).MatchString(page) {
					t.Errorf("%s: gateway %s has no option %s", name, strings.Join(words, " "), flag)
				}
			}
		}
	}
	if count < 30 {
		t.Errorf("found only %d commands: is the pattern right?", count)
	}
}

// TestMetricsInTheDocumentsAreThoseThereAre compares docs/operations.md, which tells
// what each figure means, with the code, both ways.
func TestMetricsInTheDocumentsAreThoseThereAre(t *testing.T) {
	pattern := regexp.MustCompile(`\bclinicgate_([a-z_]+)\b`)
	for name, text := range documents(t) {
		told := map[string]bool{}
		for _, found := range pattern.FindAllStringSubmatch(text, -1) {
			told[found[1]] = true
		}
		there := metrics(t)
		if name == "docs/operations.md" {
			if diff := cmp.Diff(slices.Sorted(maps.Keys(there)), slices.Sorted(maps.Keys(told))); diff != "" {
				t.Errorf("%s (-gateway/core +document):\n%s", name, diff)
			}
			continue
		}
		for metric := range told {
			if !there[metric] {
				t.Errorf("%s: there is no metric clinicgate_%s", name, metric)
			}
		}
	}
}

// metrics are the names in gateway/core: what is called Name, and what stands before the
// help in a call of a helper.
func metrics(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(harness.Root(), "gateway/core/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if name := metricName(n); name != "" {
				names[name] = true
			}
			return true
		})
	}
	if len(names) < 10 {
		t.Fatalf("found only %d metrics", len(names))
	}
	return names
}

// metricName is the name that a node gives a metric, or "".
func metricName(n ast.Node) string {
	switch n := n.(type) {
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Name" {
			return literal(n.Value)
		}
	case *ast.CallExpr:
		if _, helper := n.Fun.(*ast.Ident); helper && len(n.Args) > 2 && literal(n.Args[1]) != "" {
			return literal(n.Args[0])
		}
	}
	return ""
}

// literal is the value of a text that stands there itself, or "".
func literal(e ast.Expr) string {
	text, ok := e.(*ast.BasicLit)
	if !ok || text.Kind != token.STRING {
		return ""
	}
	value, _ := strconv.Unquote(text.Value)
	return value
}

// TestTestsInTheDocumentsExist finds every test that a document names in the code.
func TestTestsInTheDocumentsExist(t *testing.T) {
	there := tests(t)
	pattern := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z][A-Za-z0-9]+\b`)
	count := 0
	for name, text := range documents(t) {
		for _, test := range pattern.FindAllString(text, -1) {
			count++
			if !there[test] {
				t.Errorf("%s: there is no test %s", name, test)
			}
		}
	}
	if count < 50 {
		t.Errorf("found only %d names of tests", count)
	}
}

// tests are the names of all tests and fuzz targets.
func tests(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z][A-Za-z0-9]+)\(`)
	err := filepath.WalkDir(harness.Root(), func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".") && len(entry.Name()) > 1) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(file)
		for _, found := range declared.FindAllStringSubmatch(string(source), -1) {
			names[found[1]] = true
		}
		return err
	})
	if err != nil || len(names) < 100 {
		t.Fatalf("found %d tests, err %v", len(names), err)
	}
	return names
}
