package session

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

const (
	// FlowLife is how long a sign-in may stay unfinished.
	FlowLife = 10 * time.Minute

	maxFlows  = 5    // of one person; the oldest give way
	maxReturn = 8192 // bytes
)

// Flow is a sign-in after the right password and before the second factor: it opens
// nothing but the pages that go on with it (THREATS F3).
type Flow struct {
	User     string
	ProvedAt [4]time.Time // index policy.Level: what was proved so far
	Held     policy.Level // as in SignIn
	AMR      []string     // RFC 8176 values
	Return   string       // where to go afterwards, already validated
	Created  time.Time    // set by Begin
	Expires  time.Time    // set by Begin
}

// Flows keeps flows in the practice's database, under the hash of a token of
// their own.
type Flows struct{ m *Manager }

// Flows returns the store of sign-ins in progress.
func (m *Manager) Flows() *Flows { return &Flows{m} }

// Begin stores a flow for ten minutes and returns the token for its cookie. A
// person has at most five; a sixth takes the place of the oldest.
func (f *Flows) Begin(ctx context.Context, p policy.PracticeID, flow Flow) (FlowToken, error) {
	now := f.m.now()
	if err := flow.check(p, now); err != nil {
		return FlowToken{}, err
	}
	token, err := f.m.newFlowToken(ctx, p)
	if err != nil {
		return FlowToken{}, err
	}
	key := token.digest(p)
	held, proved := int64(flow.Held), microProved(flow.ProvedAt, now)
	err = f.m.store.Write(ctx, p, func(tx *database.Tx) error {
		_, err := tx.Exec(ctx, insertFlow, key[:], string(p), flow.User,
			proved[1], proved[2], proved[3], held, joinAMR(nil, flow.AMR), flow.Return,
			now.UnixMicro(), now.Add(FlowLife).UnixMicro())
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, deleteSurplusFlows, string(p), flow.User, key[:], maxFlows-1)
		return err
	})
	if err != nil {
		return FlowToken{}, f.m.fail("beginning a sign-in", err)
	}
	return token, nil
}

// Peek reads a flow and leaves it. ErrNone: there is none (any more).
func (f *Flows) Peek(ctx context.Context, p policy.PracticeID, cookie string) (Flow, error) {
	return f.find(ctx, p, cookie, queryFlow, f.m.store.Read)
}

// Consume takes a flow out: of many who try, one gets it, the others ErrNone.
func (f *Flows) Consume(ctx context.Context, p policy.PracticeID, cookie string) (Flow, error) {
	return f.find(ctx, p, cookie, takeFlow, f.m.store.Write)
}

const (
	insertFlow = `INSERT INTO flow (hash, practice, person, proved_aal1, proved_aal2, proved_pr,
		held, amr, return_path, created, expires) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	deleteSurplusFlows = `DELETE FROM flow WHERE hash IN (
		SELECT hash FROM flow WHERE practice = $1 AND person = $2 AND hash <> $3
		ORDER BY created DESC, hash LIMIT 1000 OFFSET $4)`
	flowColumns = `hash, practice, person, proved_aal1, proved_aal2, proved_pr, held, amr, return_path, created, expires`
	queryFlow   = `SELECT ` + flowColumns + ` FROM flow WHERE hash = $1 AND practice = $2 AND expires > $3`
	takeFlow    = `DELETE FROM flow WHERE hash = $1 AND practice = $2 AND expires > $3 RETURNING ` + flowColumns
)

type transaction func(context.Context, policy.PracticeID, func(*database.Tx) error) error

func (f *Flows) find(ctx context.Context, p policy.PracticeID, cookie, query string, run transaction) (flow Flow, err error) {
	raw, ok := parse(cookie, prefixFlow)
	if !ok || len(p) == 0 || len(p) > maxPractice {
		return Flow{}, ErrNone
	}
	if err := f.m.checkMark(ctx, p, domainFlow, &raw); err != nil {
		return Flow{}, err
	}
	key := digestOf(domainFlow, p, &raw)
	err = run(ctx, p, func(tx *database.Tx) (err error) {
		flow, err = scanFlow(p, key, tx.QueryRow(ctx, query, key[:], string(p), f.m.now().UnixMicro()).Scan)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Flow{}, ErrNone
	}
	if err != nil {
		return Flow{}, f.m.fail("reading a sign-in in progress", err)
	}
	return flow, nil
}

func scanFlow(p policy.PracticeID, key digest, scan func(...any) error) (f Flow, err error) {
	var hash []byte
	var practice, amr string
	var proved [4]int64
	var held, created, expires int64
	err = scan(&hash, &practice, &f.User, &proved[1], &proved[2], &proved[3], &held, &amr,
		&f.Return, &created, &expires)
	if err != nil {
		return Flow{}, err
	}
	if string(hash) != string(key[:]) || practice != string(p) || held < 0 || held > int64(policy.AAL2PR) {
		return Flow{}, errMismatch
	}
	f.Held, f.AMR = policy.Level(held), splitAMR(amr)
	f.ProvedAt = (&row{proved: proved}).provedAt()
	f.Created, f.Expires = fromMicro(created), fromMicro(expires)
	return f, nil
}

func (flow *Flow) check(p policy.PracticeID, now time.Time) error {
	switch {
	case len(p) == 0 || len(p) > maxPractice:
		return fmt.Errorf("session: a sign-in at no practice: %w", ErrUnavailable)
	case flow.User == "" || len(flow.User) > maxUserID:
		return errors.New("session: a sign-in in progress without a person's id")
	case flow.Held < policy.LevelNone || flow.Held > policy.AAL2PR:
		return errors.New("session: a sign-in in progress with an unknown held level")
	case len(flow.Return) > maxReturn:
		return errors.New("session: a return path of more than 8192 bytes")
	}
	return checkProof(flow.ProvedAt, flow.AMR, now)
}
