package session

import (
	"strings"

	"github.com/mileusna/useragent"
)

const (
	maxAgentHeader = 512 // bytes of a User-Agent header that are looked at
	maxAgentLabel  = 48  // bytes of the label that is kept
)

// AgentLabel turns a User-Agent header into the few words a person recognises
// in the list of sessions: "Firefox on Windows". It is a label only: the client
// chose it, no decision rests on it. What it keeps is printable ASCII without
// markup, at most 48 bytes (THREATS A3, C9).
func AgentLabel(header string) string {
	if len(header) > maxAgentHeader {
		header = header[:maxAgentHeader]
	}
	ua := useragent.Parse(header)
	name, system := plain(ua.Name), plain(ua.OS)
	switch {
	case name == "" && system == "":
		return "Unknown browser"
	case name == "":
		return bounded("Unknown browser on " + system)
	case system == "":
		return bounded(name)
	}
	return bounded(name + " on " + system)
}

// plain keeps letters, digits, blanks and ". _ -".
func plain(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == ' ', r == '.', r == '_', r == '-':
			return r
		}
		return -1
	}, s))
}

func bounded(s string) string {
	if len(s) > maxAgentLabel {
		s = strings.TrimSpace(s[:maxAgentLabel])
	}
	return s
}
