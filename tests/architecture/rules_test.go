package architecture_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	maxFileLines     = 500
	maxFunctionLines = 100
	maxEmbedded      = 1 << 20 // bytes
)

func fileLength(f *file) []string {
	lines := bytes.Count(f.source, []byte("\n"))
	if len(f.source) > 0 && f.source[len(f.source)-1] != '\n' {
		lines++
	}
	if lines <= maxFileLines {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d lines, more than %d: split it by what its parts are about", f.path, lines, maxFileLines)}
}

func functionLength(f *file) (violations []string) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		declaration, ok := n.(*ast.FuncDecl)
		if !ok {
			return true
		}
		lines := f.set.Position(declaration.End()).Line - f.line(declaration) + 1
		if lines > maxFunctionLines {
			violations = append(violations, fmt.Sprintf("%s:%d: %s has %d lines, more than %d: give its steps names",
				f.path, f.line(declaration), declaration.Name.Name, lines, maxFunctionLines))
		}
		return true
	})
	return violations
}

// noSkips: a test that does not run is a promise that nobody checks.
func noSkips(f *file) (violations []string) {
	tell := func(n ast.Node, what string) {
		violations = append(violations, fmt.Sprintf("%s:%d: %s: a test runs or is deleted", f.path, f.line(n), what))
	}
	for _, group := range f.ast.Comments {
		for _, comment := range group.List {
			if f.isTest() && strings.HasPrefix(comment.Text, "//go:build") && regexp.MustCompile(`\b(ignore|integration|slow|manual|todo)\b`).MatchString(comment.Text) {
				tell(comment, "the file is left out by "+comment.Text)
			}
		}
	}
	if !slices.ContainsFunc(f.ast.Imports, func(s *ast.ImportSpec) bool { return importPath(s) == "testing" }) {
		return violations
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if branch, ok := n.(*ast.IfStmt); ok && leavesWhenShort(branch) {
			tell(branch, "a return when testing.Short")
		}
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		for _, name := range []string{"Skip", "Skipf", "SkipNow"} {
			for _, receiver := range []string{"t", "b", "f", "tb", "rt"} {
				if isSelector(call.Fun, receiver, name) {
					tell(call, receiver+"."+name)
				}
			}
		}
		return true
	})
	return violations
}

// leavesWhenShort tells a test that does nothing when -short is given from one that does the same fewer times.
func leavesWhenShort(branch *ast.IfStmt) bool {
	short, leaves := false, false
	ast.Inspect(branch.Cond, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		short = short || ok && isSelector(call.Fun, "testing", "Short")
		return true
	})
	ast.Inspect(branch.Body, func(n ast.Node) bool {
		_, ok := n.(*ast.ReturnStmt)
		leaves = leaves || ok
		return true
	})
	return short && leaves
}

var sentence = regexp.MustCompile(`(?s)^(Package|Command) (\S+) .*[.:](\s|$)`)

// packageComments: each package has one, a sentence that says what it is for. files are ordered by path.
func packageComments(files []*file) (violations []string) {
	type commented struct{ all, with []*file }
	packages := map[string]*commented{}
	var dirs []string
	for _, f := range files {
		p := packages[f.dir]
		if p == nil {
			p = &commented{}
			packages[f.dir], dirs = p, append(dirs, f.dir)
		}
		p.all = append(p.all, f)
		if f.ast.Doc != nil && f.ast.Doc.Text() != "" {
			p.with = append(p.with, f)
		}
	}
	for _, dir := range dirs {
		p := packages[dir]
		name := strings.TrimSuffix(p.all[0].ast.Name.Name, "_test")
		switch len(p.with) {
		case 0:
			violations = append(violations, fmt.Sprintf("%s: package %s has no package comment: say in its main file what it is for", dir, name))
		case 1:
			violations = append(violations, isSentence(p.with[0])...)
		default:
			var names []string
			for _, f := range p.with {
				names = append(names, path.Base(f.path))
			}
			violations = append(violations, fmt.Sprintf("%s: package %s has %d package comments (%s): keep the one in its main file",
				dir, name, len(names), strings.Join(names, ", ")))
		}
	}
	return violations
}

func isSentence(f *file) []string {
	name := f.ast.Name.Name
	match := sentence.FindStringSubmatch(f.ast.Doc.Text())
	if match != nil && (match[1] == "Package" && match[2] == name || match[1] == "Command" && name == "main") {
		return nil
	}
	start := "Package " + name
	if name == "main" {
		start = "Command " + path.Base(f.dir)
	}
	return []string{fmt.Sprintf("%s: the package comment is no sentence: write %q up to a full stop", f.path, start+" …")}
}

// mayEmbed are the kinds of files that belong into the binary: pages, documents, migrations. No keys, databases, secrets.
var mayEmbed = []string{".html", ".css", ".js", ".svg", ".png", ".ico", ".woff2", ".sql", ".yaml", ".json", ".txt", ".md", ".tmpl", "Caddyfile"}

var (
	embedVariable = regexp.MustCompile(`(?m)^//go:embed[ \t]+(.+)$`)
	privateKey    = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)
)

// embedded: what //go:embed puts into the binary is what it is meant to be.
func embedded(f *file) (violations []string) {
	for _, match := range embedVariable.FindAllSubmatch(f.source, -1) {
		for _, pattern := range strings.Fields(string(match[1])) {
			pattern = strings.Trim(pattern, "\"`")
			for _, why := range f.embeds(pattern) {
				violations = append(violations, fmt.Sprintf("%s: go:embed %s %s", f.path, pattern, why))
			}
		}
	}
	return violations
}

// embeds says what is wrong with a pattern and the files that it takes in.
func (f *file) embeds(pattern string) (wrong []string) {
	if strings.HasPrefix(pattern, "all:") {
		return []string{"takes hidden files in: name what is needed"}
	}
	found, err := filepath.Glob(filepath.Join(f.root, filepath.FromSlash(f.dir), filepath.FromSlash(pattern)))
	if err != nil || len(found) == 0 {
		return []string{"matches nothing"}
	}
	for _, top := range found {
		err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			if why := refusesEmbedding(name); why != "" {
				wrong = append(wrong, fmt.Sprintf("takes in %s: %s", filepath.Base(name), why))
			}
			return nil
		})
		if err != nil {
			wrong = append(wrong, "cannot be read: "+err.Error())
		}
	}
	return wrong
}

func refusesEmbedding(name string) string {
	content, err := os.ReadFile(name)
	switch {
	case err != nil:
		return err.Error()
	case !slices.Contains(mayEmbed, filepath.Ext(name)) && !slices.Contains(mayEmbed, filepath.Base(name)):
		return "only " + strings.Join(mayEmbed, " ") + " files belong into the binary"
	case privateKey.Match(content):
		return "it holds a private key"
	case len(content) > maxEmbedded:
		return fmt.Sprintf("it has %d bytes, more than %d", len(content), maxEmbedded)
	}
	return ""
}
