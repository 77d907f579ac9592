package audit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Class is the kind of thing that happened. The list is closed: an event of any
// other class is refused, so that a report can rely on knowing all of them.
type Class string

// The classes.
const (
	SignIn       Class = "sign_in"       // a person came in, or tried to with a known account
	SignOut      Class = "sign_out"      // a person left, or was signed out
	SecondFactor Class = "second_factor" // a factor was enrolled, used, removed or refused
	Session      Class = "session"       // a session was raised, revoked or found in the wrong place
	Policy       Class = "policy"        // a practice's policy changed
	Person       Class = "person"        // an account, its roles or its credentials changed
	Refusal      Class = "refusal"       // a request was turned away
	BreakGlass   Class = "break_glass"   // somebody used the emergency way in
	System       Class = "system"        // the gateway itself, this log included
)

// Classes returns the closed list, in the order of the constants.
func Classes() []Class {
	return []Class{SignIn, SignOut, SecondFactor, Session, Policy, Person, Refusal, BreakGlass, System}
}

// Known reports whether c is one of the constants.
func (c Class) Known() bool {
	switch c {
	case SignIn, SignOut, SecondFactor, Session, Policy, Person, Refusal, BreakGlass, System:
		return true
	}
	return false
}

// Limits on one event, after escaping. What is longer is cut and says so.
const (
	MaxField  = 256  // runes in one field or detail value
	MaxKey    = 64   // runes in a detail key
	MaxDetail = 16   // detail entries
	MaxEvent  = 4096 // bytes in all fields and details together

	maxFieldBytes = 512 // bytes in one fixed field, so that five of them leave room for details
)

// moreKey names the entry that counts details left out. Its backslash cannot come
// from a caller: [Clean] doubles every backslash that enters.
const moreKey = `\more`

// ErrEvent is matched by the error for an event that cannot be recorded whatever
// the state of the database: its class is unknown or its action is missing.
var ErrEvent = errors.New("the audit event is not valid")

// Event is what happened, in words that are safe to keep for a year. All fields are
// text: there is none that takes a vault.Secret, and text that looks like a
// credential is withheld on entry (see withhold.go). The practice is not a field: it
// is an argument of every call that takes an Event.
type Event struct {
	Class   Class
	Action  string            // what was done, a stable code such as "password_accepted"; required
	Actor   string            // who did it: a person's id, or "operator", or "" for nobody known
	Subject string            // whom or what it was done to
	Addr    string            // the client's address, without port
	Request string            // the request id that the backend and the access log carry too
	Detail  map[string]string // the rest; Detail["reason"] is the stable code of a refusal
}

// clean returns e bounded and escaped, ready to be hashed and stored, or an error
// matching [ErrEvent].
func (e Event) clean() (Event, error) {
	if !e.Class.Known() {
		return Event{}, fmt.Errorf("%w: class %s is not one of the known classes", ErrEvent, strconv.Quote(clip(string(e.Class), MaxKey)))
	}
	if e.Action == "" {
		return Event{}, fmt.Errorf("%w: the action is missing", ErrEvent)
	}
	out := Event{
		Class:   e.Class,
		Action:  cleanField(e.Action),
		Actor:   cleanField(e.Actor),
		Subject: cleanField(e.Subject),
		Addr:    cleanField(e.Addr),
		Request: cleanField(e.Request),
	}
	used := len(out.Class) + len(out.Action) + len(out.Actor) + len(out.Subject) + len(out.Addr) + len(out.Request)
	out.Detail = cleanDetail(e.Detail, MaxEvent-used)
	return out, nil
}

// cleanField bounds one fixed field.
func cleanField(s string) string {
	return escapeTo(withhold("", s), MaxField, maxFieldBytes)
}

// cleanDetail bounds the details to MaxDetail entries and room bytes in all. Keys
// are taken in order, so that the same event always leaves the same record.
func cleanDetail(detail map[string]string, room int) map[string]string {
	if len(detail) == 0 {
		return nil
	}
	const reserve = len(moreKey) + 20 // the entry that counts what was left out
	room -= reserve
	keep := MaxDetail
	if len(detail) > MaxDetail {
		keep-- // its place goes to the count
	}
	out := make(map[string]string, min(len(detail), MaxDetail))
	left := 0
	for _, key := range slices.Sorted(maps.Keys(detail)) {
		name := escapeTo(key, MaxKey, 2*MaxKey)
		_, taken := out[name]
		space := room - len(name)
		if taken || len(out) == keep || space < minCut {
			left++
			continue
		}
		value := escapeTo(withhold(key, detail[key]), MaxField, min(space, 4*MaxField))
		out[name] = value
		room -= len(name) + len(value)
	}
	if left > 0 {
		out[moreKey] = strconv.Itoa(left)
	}
	return out
}
