package policy

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// pattern is a compiled rule path: "/x" covers /x; "/x/*" covers /x and everything below /x/.
type pattern struct {
	exact  string // "/x"; "" for "/*"
	folded string // fold(exact)
	below  bool
}

func compilePattern(path string) pattern {
	exact, below := strings.CutSuffix(path, "/*")
	return pattern{exact: exact, folded: fold(exact), below: below}
}

// covers compares letter for letter: what opens a path opens only what is written.
func (p *pattern) covers(path string) bool {
	return strings.HasPrefix(path, p.exact) && p.ends(path, len(p.exact))
}

// coversFolded compares without regard to letter case, compatibility forms or a slash at the end: what narrows a path
// narrows every spelling that some backend might take for it (THREATS P1).
func (p *pattern) coversFolded(path foldedPath) bool {
	if path.folded != "" {
		return strings.HasPrefix(path.folded, p.folded) && p.endsNear(path.folded, len(p.folded))
	}
	return hasPrefixASCIIFold(path.raw, p.folded) && p.endsNear(path.raw, len(p.folded))
}

// ends says whether a path that begins with the pattern's first n bytes is covered by it.
func (p *pattern) ends(path string, n int) bool {
	return len(path) == n || p.below && path[n] == '/'
}

// endsNear is ends, and takes /x/ for /x, as many frameworks do.
func (p *pattern) endsNear(path string, n int) bool {
	return p.ends(path, n) || path[n:] == "/"
}

// foldedPath is a path ready for coversFolded: folded is empty while raw is ASCII, which is folded on the fly.
type foldedPath struct{ raw, folded string }

// foldPath allocates only for a path with letters beyond ASCII.
func foldPath(path string) foldedPath {
	for i := range len(path) {
		if path[i] >= utf8.RuneSelf {
			return foldedPath{raw: path, folded: fold(path)}
		}
	}
	return foldedPath{raw: path}
}

// fold is Unicode's compatibility caseless form (The Unicode Standard, D146): NFKC, folded, NFKC again. Before that it
// takes for one letter what only some backends do (TestNarrowingRulesHoldInEveryLetterCaseOfAnyBackend).
func fold(s string) string {
	return norm.NFKC.String(cases.Fold().String(strings.Map(loosest, norm.NFKC.String(s))))
}

// loosest changes letter case one character at a time, as Java and JavaScript do: the two Turkish letters become an i. It
// drops what some backends do not look at.
func loosest(r rune) rune {
	if isIgnorable(r) {
		return -1
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

func hasPrefixASCIIFold(s, foldedPrefix string) bool {
	if len(s) < len(foldedPrefix) {
		return false
	}
	for i := range len(foldedPrefix) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != foldedPrefix[i] {
			return false
		}
	}
	return true
}

type accessRule struct {
	pattern
	name   string
	public bool
	roles  []string
}

func (r *accessRule) matches(path foldedPath) bool {
	if r.public {
		return r.covers(path.raw)
	}
	return r.coversFolded(path)
}

type stepUpRule struct {
	pattern
	name    string
	methods []string
	need    demand
}

// matches compares methods letter for letter. A rule for GET holds for HEAD too, which backends answer by the same code.
func (r *stepUpRule) matches(method string, path foldedPath) bool {
	if len(r.methods) > 0 && !slices.Contains(r.methods, method) &&
		!(method == "HEAD" && slices.Contains(r.methods, "GET")) {
		return false
	}
	return r.coversFolded(path)
}

func compileAccess(rules []AccessRule) []accessRule {
	out := make([]accessRule, len(rules))
	for i, r := range rules {
		out[i] = accessRule{pattern: compilePattern(r.Path), name: ruleName("access", i, r.Path), public: r.Public,
			roles: slices.Clone(r.Roles)}
	}
	return out
}

func compileStepUp(rules []StepUpRule) []stepUpRule {
	out := make([]stepUpRule, len(rules))
	for i, r := range rules {
		out[i] = stepUpRule{pattern: compilePattern(r.Path), name: ruleName("step_up", i, r.Path),
			methods: slices.Clone(r.Methods)}
		out[i].need = demand{rule: out[i].name, level: r.Level, maxAge: duration(r.MaxAge)}
	}
	return out
}

func ruleName(list string, i int, path string) string {
	return list + "[" + strconv.Itoa(i) + "] " + path
}
