package session

import (
	"database/sql"
	"strconv"
	"strings"
)

// Statements are constant texts, so that each connection prepares them once: those
// that take many ids have a fixed number of places, and unused ones hold "", which
// no session is called.
const (
	idChunk    = 100 // ids that one statement asks for
	flushChunk = 64  // rows that one UPDATE writes
	sweepChunk = 500 // rows that one transaction of the sweep deletes
)

var (
	queryExists = `SELECT id FROM session WHERE practice = $1 AND id IN (` + places(2, idChunk) + `)`

	// updateSeen never turns time back, and returns the ids it found: what is
	// missing among them was revoked.
	updateSeen = `WITH seen (sid, seen_at) AS (VALUES ` + pairs(2, flushChunk) + `)
		UPDATE session SET last_seen = CASE WHEN last_seen < seen.seen_at THEN seen.seen_at ELSE last_seen END
		FROM seen WHERE session.practice = $1 AND session.id = seen.sid RETURNING id`
)

// places writes "$2, $3, …".
func places(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(from+i))
	}
	return b.String()
}

// pairs writes "(CAST($2 AS TEXT), CAST($3 AS BIGINT)), …": without the casts
// PostgreSQL takes every parameter of a VALUES list for text.
func pairs(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("(CAST($" + strconv.Itoa(from+2*i) + " AS TEXT), CAST($" + strconv.Itoa(from+2*i+1) + " AS BIGINT))")
	}
	return b.String()
}

func padIDs(args []any, ids []ID) []any {
	for i := range idChunk {
		if i < len(ids) {
			args = append(args, ids[i].String())
		} else {
			args = append(args, "")
		}
	}
	return args
}

// eachID reads and closes a result of ids. It takes what Query returned.
func eachID(found *sql.Rows, err error, visit func(ID)) error {
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		var text string
		if err := found.Scan(&text); err != nil {
			return err
		}
		id, err := ParseID(text)
		if err != nil {
			return errMismatch
		}
		visit(id)
	}
	return found.Err()
}
