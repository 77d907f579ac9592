package page

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is shown, in characters. The longest real names stay well below them.
const (
	maxPractice  = 80
	maxName      = 80
	maxEmail     = 254 // what a field may hold: RFC 5321 section 4.5.3.1
	maxShown     = 80  // what is shown of an email
	maxDevice    = 80
	maxAddress   = 64
	maxRole      = 40
	maxReturn    = 2048
	maxMarks     = 4 // combining marks in a row; more would paint over neighbouring lines
	referenceLen = 12
)

// clip makes text from outside fit to be shown: valid UTF-8, one line, no control characters and none of
// Unicode's direction overrides, at most max characters, the last an ellipsis when something was cut.
func clip(s string, max int) string {
	var b strings.Builder
	count, marks, space := 0, 0, false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = count > 0
			continue
		case unicode.IsControl(r), isDirection(r), r == utf8.RuneError:
			continue
		case unicode.Is(unicode.M, r):
			if marks++; marks > maxMarks {
				continue
			}
		default:
			marks = 0
		}
		need := 1
		if space {
			need = 2
		}
		if count+need > max {
			return cut(b.String())
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
		count += need
	}
	return b.String()
}

// cut replaces the last character by an ellipsis.
func cut(s string) string {
	_, size := utf8.DecodeLastRuneInString(s)
	return strings.TrimRight(s[:len(s)-size], " ") + "…"
}

// isDirection names the characters that reorder what stands around them (CVE-2021-42574's class). Plain
// right-to-left scripts need none of them: <bdi> finds their direction.
func isDirection(r rune) bool {
	return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069
}

// localPath returns path when it can only lead to the host the page came from, else "". The handlers check
// return addresses themselves; this is the second lock on the same door (THREATS R).
func localPath(path string) string {
	if len(path) > maxReturn || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return ""
	}
	for _, r := range path {
		if r <= ' ' || r == '\\' || r > '~' {
			return ""
		}
	}
	return path
}

// localOr is localPath with a way out for the rest.
func localOr(path, otherwise string) string {
	if p := localPath(path); p != "" {
		return p
	}
	return otherwise
}

// Reference returns the short form of a request id that pages show and support asks for: its last 12 letters
// and digits. Searching the logs for it finds the request. (The end, because a UUIDv7 begins with the time.)
func Reference(requestID string) string {
	var kept []byte
	for i := len(requestID) - 1; i >= 0 && len(kept) < referenceLen; i-- {
		if c := requestID[i]; isAlphanumeric(c) {
			kept = append(kept, c)
		}
	}
	for i, j := 0, len(kept)-1; i < j; i, j = i+1, j-1 {
		kept[i], kept[j] = kept[j], kept[i]
	}
	return string(kept)
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// groups cuts s into fours, as people read out long numbers. s is ASCII.
func groups(s string) []string {
	var out []string
	for ; len(s) > 4; s = s[4:] {
		out = append(out, s[:4])
	}
	if s != "" {
		out = append(out, s)
	}
	return out
}

// wait says how long, rounded up: nobody who waits as told is early.
func wait(d time.Duration) string {
	switch {
	case d <= 0:
		return "a moment"
	case d <= 90*time.Second:
		return count(up(d, time.Second), "second")
	case d <= 90*time.Minute:
		return count(up(d, time.Minute), "minute")
	default:
		return count(up(d, time.Hour), "hour")
	}
}

func up(d, unit time.Duration) int { return int((d + unit - 1) / unit) }

func count(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// lastDay writes out the date of the last moment before t: who has until midnight has until the day before.
// No zone is UTC.
func lastDay(t time.Time, zone *time.Location) string {
	return inZone(t.Add(-time.Second), zone).Format("Monday 2 January 2006")
}

// moment writes a time as people say it, today's without the date. No zone is UTC, and says so.
func moment(t, now time.Time, zone *time.Location) string {
	t, now = inZone(t, zone), inZone(now, zone)
	text := t.Format("2 January 2006, 15:04")
	if t.Year() == now.Year() && t.YearDay() == now.YearDay() {
		text = "today, " + t.Format("15:04")
	}
	if zone == nil {
		text += " UTC"
	}
	return text
}

func inZone(t time.Time, zone *time.Location) time.Time {
	if zone == nil {
		return t.UTC()
	}
	return t.In(zone)
}

// roleWords are the roles that every practice has, as people call them.
var roleWords = map[string]string{
	"practice_admin":    "Practice admin",
	"clinician":         "Clinician",
	"reception":         "Reception",
	"billing":           "Billing",
	"security_reviewer": "Security reviewer",
}

// roleWord returns the words for a role; of a practice's own role it makes a readable name.
func roleWord(role string) string {
	if w, ok := roleWords[role]; ok {
		return w
	}
	w := clip(strings.NewReplacer("_", " ", "-", " ").Replace(role), maxRole)
	r, size := utf8.DecodeRuneInString(w)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(r)) + w[size:]
}
