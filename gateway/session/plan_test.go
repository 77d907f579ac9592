package session_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"clinicgate/gateway/database"
	"clinicgate/gateway/database/databasetest"
	"clinicgate/gateway/session"
	"github.com/google/go-cmp/cmp"
)

// whole names the statements that walk a practice's rows by intent. A database holds
// one practice, so everybody else who finds rows by the practice alone reads them all.
var whole = map[string]string{
	"queryAll":    "the newest of all, in the order of an index, up to a limit",
	"deleteAny":   "everybody is logged out",
	"deleteFlows": "everybody is logged out",
}

// What happens in requests and in batches costs as much at 100,000 sessions as at ten.
func TestNoStatementReadsAllSessions(t *testing.T) {
	if databasetest.On() {
		return // its plans go by what is in the tables; the indexes are the same
	}
	g := newGate(t)
	for name, query := range session.Statements {
		for _, step := range g.plan(query) {
			if walks(step) && whole[name] == "" {
				t.Errorf("%s reads the whole table: %s", name, step)
			}
		}
	}
}

var (
	places = regexp.MustCompile(`\$[0-9]+`)
	found  = regexp.MustCompile(`\(([^()]*)\)$`)
)

// plan is how SQLite goes about a statement.
func (g *gate) plan(query string) (steps []string) {
	g.t.Helper()
	used := slices.Compact(slices.Sorted(slices.Values(places.FindAllString(query, -1))))
	err := g.db.Practice(harbour).Read(context.Background(), func(tx *database.Tx) error {
		rows, err := tx.Query(context.Background(), "EXPLAIN QUERY PLAN "+query, make([]any, len(used))...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				return err
			}
			steps = append(steps, detail)
		}
		return rows.Err()
	})
	if err != nil {
		g.t.Fatalf("%s: %v", query, err)
	}
	return steps
}

// walks reports whether a step reads a whole table, or all of the practice, which
// is the same.
func walks(step string) bool {
	if strings.HasPrefix(step, "SCAN ") {
		return true
	}
	by := found.FindStringSubmatch(step)
	return strings.HasPrefix(step, "SEARCH ") && (by == nil || by[1] == "practice=?")
}

// A statement that is not in the list would not be looked at.
func TestEveryStatementIsExplained(t *testing.T) {
	var names []string
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 && isStatement(spec.Values[0]) {
				names = append(names, spec.Names[0].Name)
			}
			return true
		})
	}
	slices.Sort(names)
	names = slices.DeleteFunc(names, func(n string) bool { return n == "rowColumns" }) // the beginning of others
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(session.Statements))); diff != "" {
		t.Errorf("statements of the package (-) and explained (+):\n%s", diff)
	}
}

var verb = regexp.MustCompile(`^.(SELECT|INSERT|UPDATE|DELETE|WITH) `)

// isStatement looks at the leftmost operand of a concatenation.
func isStatement(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return isStatement(e.X)
	case *ast.Ident:
		return e.Name == "rowColumns"
	case *ast.BasicLit:
		return verb.MatchString(e.Value)
	}
	return false
}
