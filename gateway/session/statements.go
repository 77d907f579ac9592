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
	flushChunk = 64  // rows that one transaction of Flush writes
	sweepChunk = 500 // rows that one transaction of the sweep deletes
)

var queryExists = `SELECT id FROM session WHERE practice = $1 AND id IN (` + places(2, idChunk) + `)`

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
