package session_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"clinicgate/gateway/session"
)

func TestTokenIsShortAndComesBack(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		text := tokenOf(harbour).Reveal()
		if len(text) >= 64 || seen[text] {
			t.Fatalf("token %q: %d characters, seen before: %v", text, len(text), seen[text])
		}
		seen[text] = true
		back, err := session.ParseToken(text)
		if err != nil || back.Reveal() != text {
			t.Fatalf("ParseToken(Reveal()) = %v", err)
		}
	}
}

// malformed are cookie values near a good one (THREATS H7).
func malformed(good string) map[string]string {
	body := good[3:]
	return map[string]string{
		"empty":             "",
		"prefix only":       good[:3],
		"truncated":         good[:len(good)-1],
		"extended":          good + "A",
		"padded":            good + "=",
		"doubled":           good + good,
		"no prefix":         body,
		"other version":     "s2." + body,
		"upper case prefix": "S1." + body,
		"blank before":      " " + good[:len(good)-1],
		"blank after":       good[:len(good)-1] + " ",
		"newline inside":    good[:10] + "\n" + good[11:],
		"CR and LF inside":  good[:10] + "\r\n" + good[12:],
		"NUL inside":        good[:10] + "\x00" + good[11:],
		"standard alphabet": good[:10] + "+" + good[11:],
		"slash":             good[:10] + "/" + good[11:],
		"non-ASCII":         good[:10] + "é" + good[12:],
		"unused bits set":   good[:len(good)-1] + nextSpelling(good[len(good)-1:]),
		"all zero":          "s1." + strings.Repeat("A", len(body)),
		"very long":         good + strings.Repeat("A", 1<<20),
	}
}

// nextSpelling is the character whose four used bits are the same.
func nextSpelling(last string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.Index(alphabet, last)+1:][:1]
}

// A digest says of which practice and which kind the token is (T3, T6).
func TestDigestDependsOnPracticeAndKind(t *testing.T) {
	token, other := tokenOf(harbour), tokenOf(harbour)
	flow, err := session.ParseFlowToken("f1." + token.Reveal()[3:])
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, digest := range [][]byte{
		token.Digest("harbour"), token.Digest("banksia"), token.Digest("harbou"), token.Digest(""), other.Digest("harbour"), flow.Digest("harbour"),
	} {
		if len(digest) != 32 || seen[string(digest)] {
			t.Errorf("digest %x is there twice", digest)
		}
		seen[string(digest)] = true
	}
	first, again := token.Digest("harbour"), token.Digest("harbour")
	if string(first) != string(again) {
		t.Error("a digest changes")
	}
}

func TestMalformedTokenIsRefused(t *testing.T) {
	for name, value := range malformed(tokenOf(harbour).Reveal()) {
		t.Run(name, func(t *testing.T) {
			if _, err := session.ParseToken(value); err != session.ErrToken {
				t.Errorf("ParseToken: %v, want ErrToken", err)
			}
		})
	}
	if _, err := session.ParseToken(flowTokenOf(harbour).Reveal()); err == nil {
		t.Error("a flow token was taken for a session token")
	}
	if _, err := session.ParseFlowToken(tokenOf(harbour).Reveal()); err == nil {
		t.Error("a session token was taken for a flow token")
	}
}

func TestTokenCannotBePrinted(t *testing.T) {
	token, flow := tokenOf(harbour), flowTokenOf(harbour)
	type holder struct {
		Public session.Token
		inside session.Token
		flow   *session.FlowToken
	}
	h := holder{token, token, &flow}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%08b"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", token, h, flow)
	}
	data, err := json.Marshal(map[string]any{"token": token, "holder": h, "flow": flow})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(data)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "token", token, "holder", h, "text", token.String())
	for _, secret := range []string{token.Reveal()[3:], flow.Reveal()[3:]} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("printed: %s", out.String())
		}
	}
	if n := strings.Count(out.String(), "hidden"); n < 10 {
		t.Errorf("only %d masks in %s", n, out.String())
	}
	for _, bytes := range []string{fmt.Sprintf("%v", token.Digest(harbour)), fmt.Sprintf("%x", token.Digest(harbour))} {
		if strings.Contains(out.String(), strings.Trim(bytes, "[]")) {
			t.Error("the digest was printed")
		}
	}
}

func TestZeroTokenOpensNothing(t *testing.T) {
	var zero session.Token
	if zero.Reveal() != "" {
		t.Errorf("zero token reveals %q", zero.Reveal())
	}
	g := newGate(t)
	g.wantError(limits, zero.Reveal(), session.ErrNone)
}

func FuzzParseToken(f *testing.F) {
	good := tokenOf(harbour).Reveal()
	f.Add(good)
	f.Add(flowTokenOf(harbour).Reveal())
	for _, value := range malformed(good) {
		if len(value) < 1000 {
			f.Add(value)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		if token, err := session.ParseToken(s); err == nil && token.Reveal() != s {
			t.Errorf("%q has a second spelling %q", s, token.Reveal())
		}
		if token, err := session.ParseFlowToken(s); err == nil && token.Reveal() != s {
			t.Errorf("%q has a second spelling %q", s, token.Reveal())
		}
	})
}

func TestPublicIDHasOneSpelling(t *testing.T) {
	good := "0f8fad5b-d9cb-469f-a165-70867728950e"
	id, err := session.ParseID(good)
	if err != nil || id.String() != good {
		t.Fatalf("ParseID(%q) = %v, %v", good, id, err)
	}
	for name, value := range map[string]string{
		"empty": "", "upper case": strings.ToUpper(good), "braces": "{" + good + "}", "urn": "urn:uuid:" + good,
		"without hyphens": strings.ReplaceAll(good, "-", ""), "zero": "00000000-0000-0000-0000-000000000000",
		"truncated": good[:35], "extended": good + "0", "not hex": "g" + good[1:],
	} {
		if id, err := session.ParseID(value); err != session.ErrID || id != (session.ID{}) {
			t.Errorf("%s: ParseID = %v, %v", name, id, err)
		}
	}
	if (session.ID{}).String() != "" {
		t.Error("the zero id has a name")
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("0f8fad5b-d9cb-469f-a165-70867728950e")
	f.Add("urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := session.ParseID(s); err == nil && id.String() != s {
			t.Errorf("%q has a second spelling %q", s, id)
		}
	})
}
