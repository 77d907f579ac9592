package policy

import (
	"maps"
	"slices"
	"strings"
)

// aliasable are the gateway's headers that may be sent under a second name.
var aliasable = []string{"X-Practice-Id", "X-User-Id", "X-User-Email", "X-User-Name", "X-User-Roles", "X-Auth-Level",
	"X-Auth-Methods", "X-Auth-Time", "X-Session-Id", "X-Request-Id"}

// kept are headers with a meaning of their own, which an alias would destroy.
var kept = []string{"host", "connection", "cookie", "authorization", "content-length", "content-type", "transfer-encoding",
	"te", "trailer", "upgrade", "keep-alive", "proxy-authorization", "proxy-connection", "expect", "origin", "via",
	"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "accept", "range", "user-agent"}

var ownPrefixes = []string{"x-practice-", "x-user-", "x-auth-", "x-session-", "x-gate-", "sec-"}

// aliases wants header names that no client may then send and that mean nothing else.
func (c *checker) aliases(names map[string]string) {
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		field := "header_aliases." + name
		lower := strings.ToLower(name)
		c.oneOf(field, names[name], aliasable)
		switch {
		case !isLabel(lower) || len(name) > 60:
			c.add(field, quote(name)+" is not a header name", "write letters, digits and inner hyphens")
		case slices.Contains(kept, lower):
			c.add(field, name+" has a meaning of its own", "choose another name")
		case slices.ContainsFunc(ownPrefixes, func(p string) bool { return strings.HasPrefix(lower, p) }):
			c.add(field, name+" is reserved already", "choose another name")
		case seen[lower] != "":
			c.add(field, "is "+seen[lower]+" in other letters", "keep one of them")
		}
		seen[lower] = name
	}
}
