package forward

import "strings"

// hostOnly takes the Domain attribute from a backend's Set-Cookie (RFC 6265 section
// 5.2.3). A cookie of the domain above would go to the sibling practices too: one
// practice's backend could choose the session that its users have at another's, and what
// it gave out would be sent there (THREATS C2, T3; TestBackendCookiesStayAtTheirPractice).
func hostOnly(setCookie string) string {
	pair, rest, found := strings.Cut(setCookie, ";")
	if !found || !strings.Contains(strings.ToLower(rest), "domain") {
		return setCookie
	}
	var kept strings.Builder
	kept.WriteString(pair)
	for attribute := range strings.SplitSeq(rest, ";") {
		name, _, _ := strings.Cut(attribute, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "domain") {
			kept.WriteString(";" + attribute)
		}
	}
	return kept.String()
}
