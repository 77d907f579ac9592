package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"clinicgate/policy"
)

// Notes are signed text (golang.org/x/mod/sumdb/note). Two kinds are signed with a
// practice's checkpoint key; their first lines keep them apart, so that neither can be
// passed off as the other, nor as another practice's:
//
//	clinicgate/audit/checkpoint/v1 harbour        clinicgate/audit/anchor/v1 harbour
//	1042                                          900
//	<base64 of the hash of record 1042>           <base64 of the hash of record 900>
//	2026-05-04T08:00:00.000000Z                   2026-05-04T08:00:00.000000Z
//	                                              873
//
//	— clinicgate/harbour <signature>              — clinicgate/harbour <signature>
//
// A checkpoint says: at that time record 1042 was the last and had this hash. An anchor
// says: the records up to 900 were pruned by us, 873 in all; the first that is left was
// chained to this hash.
const (
	originCheckpoint = "clinicgate/audit/checkpoint/v1"
	originAnchor     = "clinicgate/audit/anchor/v1"
)

// maxNote bounds a stored note, in bytes.
const maxNote = 2048

const noteTime = "2006-01-02T15:04:05.000000Z"

// Errors of opening a note, for telling them apart in Verify.
var (
	errForged     = errors.New("its signature or text is not what the gateway signed")
	errKeyUnknown = errors.New("it is signed with a key this gateway does not have")
)

// point is a place in a chain that was signed: a checkpoint or an anchor.
type point struct {
	seq   int64 // of the last record it covers; 0 = none, the beginning
	hash  Hash  // of that record
	at    time.Time
	count int64  // anchor only: records pruned since the beginning
	text  string // the signed note as stored; "" = not signed yet
}

// sign returns p as a note.
func (p point) sign(id policy.PracticeID, origin string, signer note.Signer) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n%d\n%s\n%s\n", origin, id, p.seq, base64.StdEncoding.EncodeToString(p.hash[:]), p.at.UTC().Format(noteTime))
	if origin == originAnchor {
		fmt.Fprintf(&b, "%d\n", p.count)
	}
	signed, err := note.Sign(&note.Note{Text: b.String()}, signer)
	if err != nil {
		return "", fmt.Errorf("signing the audit log's head: %v", err)
	}
	return string(signed), nil
}

// openPoint reads a note of this practice and kind, and checks its signature. Errors
// match errForged or errKeyUnknown.
func openPoint(text string, id policy.PracticeID, origin string, verifier note.Verifier) (point, error) {
	if len(text) > maxNote {
		return point{}, errForged
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unverified):
		return point{}, errKeyUnknown
	case err != nil:
		return point{}, errForged
	}
	lines := strings.Split(opened.Text, "\n")
	want := 5 // four lines and what follows the last line feed
	if origin == originAnchor {
		want++
	}
	if len(lines) != want || lines[0] != origin+" "+string(id) {
		return point{}, errForged
	}
	p, err := parsePoint(lines[1:])
	if err != nil {
		return point{}, errForged
	}
	p.text = text
	return p, nil
}

func parsePoint(lines []string) (p point, err error) {
	if p.seq, err = strconv.ParseInt(lines[0], 10, 64); err != nil || p.seq < 0 {
		return point{}, errForged
	}
	hash, err := base64.StdEncoding.Strict().DecodeString(lines[1])
	if err != nil || len(hash) != len(p.hash) {
		return point{}, errForged
	}
	copy(p.hash[:], hash)
	if p.at, err = time.Parse(noteTime, lines[2]); err != nil {
		return point{}, errForged
	}
	if len(lines) > 4 {
		if p.count, err = strconv.ParseInt(lines[3], 10, 64); err != nil || p.count < 0 {
			return point{}, errForged
		}
	}
	return p, nil
}
