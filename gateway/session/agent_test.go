package session_test

import (
	"strings"
	"testing"

	"clinicgate/gateway/session"
)

func TestAgentLabelIsWhatPeopleRecognise(t *testing.T) {
	for header, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0":                                             "Firefox on Windows",
		"Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604": "Safari on iOS",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36":                        "Chrome on Linux",
		"":                              "Unknown browser",
		"<script>alert(1)</script>/1.0": "Unknown browser",
	} {
		if got := session.AgentLabel(header); got != want {
			t.Errorf("AgentLabel(%.40q) = %q, want %q", header, got, want)
		}
	}
}

func TestHugeAgentIsBounded(t *testing.T) {
	for _, header := range []string{strings.Repeat("A", 1<<20), strings.Repeat("(", 1<<20), strings.Repeat("a/1 ", 1<<18), "\x1b[31m\r\nX-Evil: 1\u2028"} {
		checkLabel(t, header)
	}
}

func FuzzAgentLabel(f *testing.F) {
	f.Add("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0")
	f.Add("<b>x</b>/1 (y; z)")
	f.Fuzz(func(t *testing.T, header string) { checkLabel(t, header) })
}

func checkLabel(t *testing.T, header string) {
	t.Helper()
	label := session.AgentLabel(header)
	if label == "" || len(label) > 48 {
		t.Errorf("label of %d bytes", len(label))
	}
	for _, r := range label {
		if r < ' ' || r > '~' || strings.ContainsRune(`<>&"'=`, r) {
			t.Errorf("label %q holds %q", label, r)
		}
	}
}
