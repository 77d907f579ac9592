package audit

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/note"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// maxSeq bounds the numbers taken from a database, so that a planted row with a huge
// one cannot make the count run over.
const maxSeq = 1 << 53

// memory is what this process knows of the chain of one generation of a practice. It
// only ever holds what was committed, and it is checked against the database in every
// transaction.
type memory struct {
	generation int64
	head       point  // newest head this process wrote
	copy       point  // newest copy seen in the registry with a good signature
	bad        string // the registry's forged copy that has been recorded already
}

// stamped is a clean event and when it happened.
type stamped struct {
	Event
	at time.Time
}

// turn is what one transaction on a practice's chain works with.
type turn struct {
	id         policy.PracticeID
	generation int64 // of the practice; the database must be of the same
	signer     note.Signer
	verifier   note.Verifier
	copy       string // the registry's copy of the head; "" = none
	known      point  // newest place that is proved to have existed
	badCopy    bool   // the registry's copy cannot be believed
	newBad     bool   // and that is not recorded yet
	damaged    []string
}

// begin collects what the transaction needs from outside the practice's database:
// the key, and the newest head of that generation that this process or the registry has
// seen. Heads of other generations are of other logs.
func (l *Log) begin(ctx context.Context, id policy.PracticeID, generation int64) (*turn, error) {
	signer, verifier, err := l.keys.CheckpointKey(ctx, id)
	if err != nil {
		return nil, unavailable("reading the audit key", err)
	}
	s := &turn{id: id, generation: generation, signer: signer, verifier: verifier}
	of, copied, err := l.readCopy(ctx, id)
	if err != nil {
		return nil, err
	}
	if of == generation {
		s.copy = copied
	}
	l.mu.Lock()
	var m memory
	if known := l.heads[id]; known != nil && known.generation == generation {
		m = *known
	}
	l.mu.Unlock()
	s.known = m.head
	if s.copy == "" || s.copy == m.head.text {
		return s, nil
	}
	seen := m.copy
	if s.copy != m.copy.text {
		if seen, err = openPoint(s.copy, id, originCheckpoint, verifier); err != nil {
			s.badCopy, s.newBad = true, s.copy != m.bad
			return s, nil
		}
		l.remember(s, func(m *memory) { m.copy = seen })
	}
	if seen.seq > s.known.seq {
		s.known = seen
	}
	return s, nil
}

// generation reads which generation of the practice its database is of. It fails for a
// practice without a database, before a key is made for it.
func (l *Log) generation(ctx context.Context, id policy.PracticeID) (generation int64, err error) {
	err = l.db.Practice(id).Read(ctx, func(tx *database.Tx) error {
		_, generation = tx.Practice()
		return nil
	})
	return generation, err
}

// remember changes what is known of the turn's generation, unless a later one is known.
func (l *Log) remember(s *turn, change func(*memory)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.heads[s.id]
	if m == nil || m.generation < s.generation {
		m = &memory{generation: s.generation}
		l.heads[s.id] = m
	}
	if m.generation == s.generation {
		change(m)
	}
}

// known is the generation that this process has written to last, 0 for none.
func (l *Log) known(id policy.PracticeID) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.heads[id]; m != nil {
		return m.generation
	}
	return 0
}

// extend adds events to the chain inside tx, which must be the practice's own, and
// signs the new head. Everything that another process could have changed is read in tx.
func (l *Log) extend(ctx context.Context, tx *database.Tx, s *turn, events []stamped) (point, error) {
	s.damaged = nil // tx may be run again
	old, tip, err := l.base(ctx, tx, s)
	if err != nil {
		return point{}, err
	}
	now := l.now()
	alarms := make([]stamped, 0, len(s.damaged))
	for _, reason := range s.damaged {
		alarms = append(alarms, stamped{damageEvent(reason, old, tip), now})
	}
	for _, list := range [][]stamped{alarms, events} {
		for _, e := range list {
			r := Record{Practice: s.id, Seq: tip.seq + 1, At: e.at, Event: e.Event, Prev: tip.hash}
			r.Hash = r.sum()
			if err := insert(ctx, tx, &r); err != nil {
				return point{}, err
			}
			tip.seq, tip.hash = r.Seq, r.Hash
		}
	}
	tip.at, tip.count, tip.text = now, 0, ""
	if tip.text, err = tip.sign(s.id, originCheckpoint, s.signer); err != nil {
		return point{}, err
	}
	return tip, saveHead(ctx, tx, s.id, old, tip)
}

// base returns the signed head as it is in the database (zero when there is none that
// can be believed) and the place from which the chain goes on: never before a place
// that was signed, so that whatever was taken away leaves a hole that stays.
func (l *Log) base(ctx context.Context, tx *database.Tx, s *turn) (head, tip point, err error) {
	text, err := readNote(ctx, tx, "audit_head", s.id)
	if err != nil {
		return head, tip, err
	}
	last, err := lastRow(ctx, tx)
	if err != nil {
		return head, tip, err
	}
	if s.newBad {
		s.damaged = append(s.damaged, "copy_forged")
	}
	switch {
	case text != "" && text == s.known.text:
		head, tip = s.known, s.known
	case text != "":
		if head, err = openPoint(text, s.id, originCheckpoint, s.verifier); err != nil {
			s.damaged = append(s.damaged, "head_forged")
			head = point{}
		}
		tip = head
	case last.seq > 0:
		s.damaged = append(s.damaged, "head_missing")
	}
	if head.text == "" {
		if tip, err = unsignedEnd(ctx, tx, s, last); err != nil {
			return head, tip, err
		}
	}
	if s.known.seq > tip.seq {
		s.damaged = append(s.damaged, "rolled_back")
		tip = s.known
	}
	if last.seq > tip.seq { // rows that nobody signed: step over them, do not build on them
		s.damaged = append(s.damaged, "rows_unsigned")
		tip.seq = last.seq
	}
	return head, tip, nil
}

// unsignedEnd is where a chain without a usable head ends: its last row, or the anchor
// that retention left, or the beginning.
func unsignedEnd(ctx context.Context, tx *database.Tx, s *turn, last point) (point, error) {
	if last.seq > 0 {
		return last, nil
	}
	text, err := readNote(ctx, tx, "audit_anchor", s.id)
	if err != nil {
		return point{}, err
	}
	if anchor, err := openPoint(text, s.id, originAnchor, s.verifier); text != "" && err == nil {
		return anchor, nil
	}
	return point{hash: genesis(s.id)}, nil
}

// damageEvent is the record that the log leaves about itself.
func damageEvent(reason string, found, tip point) Event {
	return Event{Class: System, Action: "audit_log_damaged", Actor: "gateway", Detail: map[string]string{
		"reason":       reason,
		"signed_until": strconv.FormatInt(found.seq, 10),
		"goes_on_at":   strconv.FormatInt(tip.seq+1, 10),
	}}
}

// saveHead writes the new head, and keeps the old one when it was its hour's last.
func saveHead(ctx context.Context, tx *database.Tx, id policy.PracticeID, old, head point) error {
	if old.text != "" && hourOf(old.at) != hourOf(head.at) {
		_, err := tx.Exec(ctx, `INSERT INTO audit_checkpoint (practice, hour, size, note) VALUES ($1, $2, $3, $4)
			ON CONFLICT (practice, hour) DO UPDATE SET size = excluded.size, note = excluded.note WHERE audit_checkpoint.size < excluded.size`,
			string(id), hourOf(old.at), old.seq, old.text)
		if err != nil {
			return err
		}
	}
	return writeNote(ctx, tx, "audit_head", id, head.text)
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// readNote returns the practice's note in one of this package's tables, or "".
func readNote(ctx context.Context, tx *database.Tx, table string, id policy.PracticeID) (string, error) {
	var text sql.NullString
	err := tx.QueryRow(ctx, `SELECT `+bounded("note", maxNote)+` FROM `+table+` WHERE practice = $1`, string(id)).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err == nil && text.String == "" {
		return "\x00", nil // there is something, and it is no note
	}
	return text.String, err
}

func writeNote(ctx context.Context, tx *database.Tx, table string, id policy.PracticeID, text string) error {
	_, err := tx.Exec(ctx, `INSERT INTO `+table+` (practice, note) VALUES ($1, $2)
		ON CONFLICT (practice) DO UPDATE SET note = excluded.note`, string(id), text)
	return err
}

// lastRow returns the number and hash of the last row, signed or not.
func lastRow(ctx context.Context, tx *database.Tx) (p point, err error) {
	var hash []byte
	err = tx.QueryRow(ctx, `SELECT seq, `+bounded("hash", len(p.hash))+` FROM audit_event WHERE seq <= $1 ORDER BY seq DESC LIMIT 1`,
		int64(maxSeq)).Scan(&p.seq, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return point{}, nil
	}
	copy(p.hash[:], hash)
	return p, err
}
