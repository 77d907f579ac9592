package audit

import (
	"context"
	"database/sql"
	"strconv"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// bounded is a column that reads as NULL when it holds more than n bytes: a planted
// value of a gigabyte is never loaded. octet_length is standard SQL.
func bounded(column string, n int) string {
	return `CASE WHEN octet_length(` + column + `) <= ` + strconv.Itoa(n) + ` THEN ` + column + ` END`
}

// recordColumns are a record's columns in the order of scanRecord.
var recordColumns = `seq, at, ` + bounded("practice", 64) + `, ` + bounded("class", 64) +
	`, ` + bounded("action", maxFieldBytes) + `, ` + bounded("actor", maxFieldBytes) + `, ` + bounded("subject", maxFieldBytes) +
	`, ` + bounded("addr", maxFieldBytes) + `, ` + bounded("request", maxFieldBytes) + `, ` + bounded("detail", 4*MaxEvent) +
	`, ` + bounded("prev", 32) + `, ` + bounded("hash", 32)

// scanRecord reads a row as it is, whatever somebody may have written into it. readable
// is false when a column holds what this log never writes; Seq, when it can be told, is
// set all the same.
func scanRecord(rows *sql.Rows) (r Record, readable bool, err error) {
	var seq, at, practice, class, action, actor, subject, addr, request, detail, prev, hash any
	err = rows.Scan(&seq, &at, &practice, &class, &action, &actor, &subject, &addr, &request, &detail, &prev, &hash)
	if err != nil {
		return r, false, err
	}
	readable = true
	r.Seq = asInt(seq, &readable)
	r.At = time.UnixMicro(asInt(at, &readable)).UTC()
	r.Practice = policy.PracticeID(asText(practice, &readable))
	r.Class = Class(asText(class, &readable))
	r.Action = asText(action, &readable)
	r.Actor = asText(actor, &readable)
	r.Subject = asText(subject, &readable)
	r.Addr = asText(addr, &readable)
	r.Request = asText(request, &readable)
	if r.Detail, err = parseDetail(asText(detail, &readable)); err != nil {
		readable = false
	}
	asHash(&r.Prev, prev, &readable)
	asHash(&r.Hash, hash, &readable)
	return r, readable, nil
}

func asInt(v any, ok *bool) int64 {
	n, is := v.(int64)
	*ok = *ok && is
	return n
}

func asText(v any, ok *bool) string {
	s, is := v.(string)
	*ok = *ok && is
	return s
}

func asHash(h *Hash, v any, ok *bool) {
	b, is := v.([]byte)
	*ok = *ok && is && len(b) == len(h)
	copy(h[:], b)
}

func insert(ctx context.Context, tx *database.Tx, r *Record) error {
	_, err := tx.Exec(ctx, `INSERT INTO audit_event
		(practice, seq, at, class, action, actor, subject, addr, request, detail, prev, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		string(r.Practice), r.Seq, r.At.UnixMicro(), string(r.Class), r.Action, r.Actor, r.Subject, r.Addr, r.Request,
		detailText(r.Detail), r.Prev[:], r.Hash[:])
	return err
}
