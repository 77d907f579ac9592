package login

import (
	"net/url"
	"strings"

	"clinicgate/policy"
)

// ReturnPath is where a sign-in ends: a path of this practice's host and nothing
// else. The zero value is "/". Only parseReturnPath makes another one (THREATS R).
type ReturnPath struct{ path string }

// maxReturnPath bounds what is carried through a sign-in, in bytes.
const maxReturnPath = 2048

// parseReturnPath accepts an origin-form target whose path the door itself would
// accept. Anything else, "//evil", "/\evil", "https:evil", a path of the sign-in
// itself, becomes "/" without a word: the person asked to sign in, not to be taught.
func parseReturnPath(raw string) ReturnPath {
	if raw == "" || len(raw) > maxReturnPath || strings.ContainsFunc(raw, unsafeInTarget) {
		return ReturnPath{}
	}
	path, query, asked := strings.Cut(raw, "?")
	canonical, err := policy.CanonicalPath(path)
	if err != nil || isCeremony(canonical) {
		return ReturnPath{}
	}
	if asked {
		path += "?" + query
	}
	return ReturnPath{path}
}

// String is the path, always beginning with exactly one slash.
func (p ReturnPath) String() string {
	if p.path == "" {
		return "/"
	}
	return p.path
}

// query is the path as the value of "rd".
func (p ReturnPath) query() string {
	if p.path == "" {
		return ""
	}
	return "?rd=" + url.QueryEscape(p.path)
}

// unsafeInTarget finds what browsers drop or rewrite in an address.
func unsafeInTarget(r rune) bool {
	return r <= ' ' || r >= 0x7f || r == '\\' || r == '#'
}

// isCeremony keeps people from coming back to the page they just left. Of the
// gateway's own pages the account and the console are places to go to.
func isCeremony(path string) bool {
	own, found := strings.CutPrefix(strings.ToLower(path), "/.gate/")
	return found && own != "account" && !strings.HasPrefix(own, "console/")
}
