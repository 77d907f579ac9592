package architecture_test

import (
	"fmt"
	"go/ast"
	"slices"
	"strconv"
	"strings"
)

const (
	own   = "clinicgate/"
	caddy = "github.com/caddyserver/caddy"
)

// layer is what a folder, and everything below it, may import. The longest folder that matches decides.
type layer struct {
	dir   string
	may   []string // folders of ours, with everything below them
	not   []string // but these
	blank []string // only for their effect: import _
	whole []string // likewise, for external test packages alone: they try a part inside the whole
	caddy bool
	http  bool
	clock bool // may ask what time it is, instead of being told
}

// composition are the packages that put the core together; the parts do not know them.
var composition = []string{"gateway/core", "gateway/command", "gateway/demo"}

var layers = []layer{
	{dir: "policy"},
	{dir: "config", may: []string{"config", "policy"}},
	{dir: "certs", caddy: true, http: true, clock: true},
	{dir: "gateway/core", may: []string{"gateway", "config", "policy"}, not: []string{"gateway/command", "gateway/demo"}},
	{dir: "gateway/demo", may: []string{"gateway", "config", "policy"}, not: []string{"gateway/command"}, http: true, clock: true},
	{dir: "gateway/command", may: []string{"gateway", "config", "policy"}, caddy: true, http: true, clock: true},
	{dir: "gateway/hashing"}, // what a worker process does can be read in one folder
	{dir: "gateway", may: []string{"gateway", "config", "policy"}, not: composition},
	{dir: "modules", may: []string{"modules", "gateway", "config", "policy"}, not: []string{"modules/standard"}, whole: []string{"modules/standard"},
		caddy: true, http: true, clock: true},
	{dir: "modules/standard", may: []string{"modules"}, blank: []string{"modules", "certs"}, caddy: true},
	{dir: "tests", may: []string{"tests", "modules", "gateway", "config", "policy", "certs"}, caddy: true, http: true, clock: true},
}

// mainLayer is package main, which is alone in the folder gateway.
var mainLayer = layer{dir: "gateway (main)", may: []string{"gateway", "config", "policy"}, blank: []string{"modules/standard", "gateway/command"}, caddy: true}

func layerOf(dir string) *layer {
	if dir == "gateway" {
		return &mainLayer
	}
	var best *layer
	for i := range layers {
		if l := &layers[i]; within(dir, l.dir) && (best == nil || len(l.dir) > len(best.dir)) {
			best = l
		}
	}
	return best
}

// within reports whether dir is base or below it.
func within(dir, base string) bool { return dir == base || strings.HasPrefix(dir, base+"/") }

func withinAny(dir string, bases []string) bool {
	return slices.ContainsFunc(bases, func(base string) bool { return within(dir, base) })
}

// allows says why dir may not be imported; "" when it may.
func (l *layer) allows(dir string, blank bool) string {
	switch {
	case withinAny(dir, l.blank) && !blank && !withinAny(dir, l.may):
		return "only for its effect: import _"
	case withinAny(dir, l.blank):
		return ""
	case !withinAny(dir, l.may), withinAny(dir, l.not):
		if len(l.may) == 0 {
			return "nothing of ours"
		}
		text := "only " + strings.Join(l.may, ", ")
		if len(l.not) > 0 {
			text += " without " + strings.Join(l.not, ", ")
		}
		return text
	}
	return ""
}

// imports is the rule of DESIGN section 3: gateway(main), modules → gateway/* → config → policy.
func imports(f *file) (violations []string) {
	l := layerOf(f.dir)
	if l == nil {
		return nil // TestWholeModuleIsRead tells
	}
	for _, spec := range f.ast.Imports {
		name := importPath(spec)
		dir, ours := strings.CutPrefix(name, own)
		if !ours || dir == f.dir { // a test may import the package it is about
			continue
		}
		blank := spec.Name != nil && spec.Name.Name == "_"
		if blank && f.isExternalTest() && withinAny(dir, l.whole) {
			continue
		}
		if may := l.allows(dir, blank); may != "" {
			violations = append(violations, fmt.Sprintf("%s:%d: %s must not import %s: it may import %s (DESIGN section 3)",
				f.path, f.line(spec), l.dir, dir, may))
		}
	}
	return violations
}

// dangerous packages are for nobody.
var dangerous = map[string]string{
	"C":              "the binary is built without cgo",
	"unsafe":         "memory safety is a security property",
	"plugin":         "the binary is static",
	"math/rand":      "it can be predicted: use crypto/rand",
	"math/rand/v2":   "it can be predicted: use crypto/rand",
	"net/http/pprof": "it registers itself on the default mux (THREATS P3)",
	"expvar":         "it registers itself on the default mux (THREATS P3)",
}

// pure packages do without these, and without everything that is not of the standard library or golang.org/x/text.
var impure = []string{"net/http", "os", "io/fs", "io/ioutil", "log", "log/slog", "database/sql", "crypto/rand", "syscall", "path/filepath"}

// outside is what may be imported of others.
func outside(f *file) (violations []string) {
	l := layerOf(f.dir)
	if l == nil || f.isTest() {
		return nil
	}
	for _, spec := range f.ast.Imports {
		if why := l.refuses(importPath(spec)); why != "" {
			violations = append(violations, fmt.Sprintf("%s:%d: %s must not import %s: %s", f.path, f.line(spec), l.dir, importPath(spec), why))
		}
	}
	return violations
}

func (l *layer) refuses(name string) string {
	why, bad := dangerous[name]
	switch {
	case l.dir == "tests":
		return ""
	case bad:
		return why
	case strings.HasPrefix(name, caddy) && !l.caddy:
		return "only gateway/main.go, gateway/command, modules and certs know Caddy"
	case (name == "net/http" || strings.HasPrefix(name, "net/http/")) && !l.http:
		return "the core knows no HTTP: what it needs of a request is a parameter"
	case l.dir == "policy" && slices.Contains(impure, name):
		return "the policy is pure: what it needs is a parameter"
	case l.dir == "policy" && strings.Contains(firstSegment(name), ".") && !strings.HasPrefix(name, "golang.org/x/text/"):
		return "the policy imports the standard library and golang.org/x/text alone"
	}
	return ""
}

// firstSegment has a dot in it when the package is not of the standard library.
func firstSegment(name string) string {
	first, _, _ := strings.Cut(name, "/")
	return first
}

// clockAndDice: nothing in the core asks for the time of its own accord. time.Now as the default of a parameter is fine.
func clockAndDice(f *file) (violations []string) {
	l := layerOf(f.dir)
	if l == nil || l.clock || f.isTest() {
		return nil
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		for _, name := range []string{"Now", "Since", "Until", "Sleep"} {
			if isSelector(call.Fun, "time", name) {
				violations = append(violations, fmt.Sprintf("%s:%d: time.%s is called: take now as a parameter, so that tests can set it",
					f.path, f.line(call), name))
			}
		}
		return true
	})
	return violations
}

func isSelector(e ast.Expr, owner, name string) bool {
	selector, ok := e.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	id, ok := selector.X.(*ast.Ident)
	return ok && id.Name == owner
}

func importPath(spec *ast.ImportSpec) string {
	name, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return name
}
