package page

import (
	"slices"
	"strings"
	"time"
)

// Failure is the page of a request that was not answered. What it says depends on the Kind alone (see
// reasons.go); no error's own text ever comes here.
type Failure struct {
	Base
	Kind Kind
	// Email and Roles are who is signed in, if somebody is: on a shared computer the answer to "not allowed"
	// is often that somebody else is still signed in.
	Email string
	Roles []string
	// Area names what was asked for ("billing"), made by the function Area; anything else is ignored.
	Area string
	// Retry is where "Try again" leads, a path on this host; empty or anything else: the start page. Leave it
	// empty for anything but a GET.
	Retry string
	// RetryAfter is how long to wait, in words on the page. It need not be known.
	RetryAfter time.Duration
	// Reload lets the browser ask again by itself after RetryAfter (at least 5 s), for kinds where waiting
	// helps. Set it only on the answer to a GET: the browser repeats the address, not the form.
	Reload bool
}

// action is one way on: a link, or a form that posts nothing but itself.
type action struct {
	Text, Path string
	Post       bool
}

type failure struct {
	Heading    string
	Paragraphs []string
	Who        string
	Roles      string
	Actions    []action
}

const minReload, maxReload = 5 * time.Second, 5 * time.Minute

func (p Failure) frame() frame {
	r := p.Kind.reason()
	m := failure{Heading: p.fill(r.heading)}
	reload := 0
	if p.Reload && r.passing {
		reload = up(min(max(p.RetryAfter, minReload), maxReload), time.Second)
	}
	for _, text := range r.text {
		m.Paragraphs = append(m.Paragraphs, p.fill(text))
	}
	if r.passing {
		m.Paragraphs = append(m.Paragraphs, again(p.RetryAfter, reload))
	}
	if r.who && p.Email != "" {
		m.Who, m.Roles = clip(p.Email, maxShown), strings.Join(rolesInWords(p.Roles), ", ")
	}
	for _, w := range r.ways {
		if a, ok := p.way(w); ok && !slices.Contains(m.Actions, a) {
			m.Actions = append(m.Actions, a)
		}
	}
	if p.Kind == UnknownAddress {
		p.Practice = "" // which practices there are is nobody's business here
	}
	f := newFrame(p.Base, "failure", m.Heading, layoutSplit, m).failed(p.Base, true, true)
	f.Reload = reload
	return f
}

// again says when to try again, or that the browser does so by itself.
func again(after time.Duration, reload int) string {
	if reload > 0 {
		return "This page tries again by itself in " + count(reload, "second") + "."
	}
	return "Wait " + wait(after) + ", then try again."
}

// fill puts the area into a text of ours.
func (p Failure) fill(text string) string {
	area := areaWord(p.Area)
	if area == "" {
		area = "this page"
	}
	return strings.ReplaceAll(text, "{area}", area)
}

// way turns a reason's way on into what the page shows.
func (p Failure) way(w way) (action, bool) {
	switch w {
	case wayRetry:
		if path := localPath(p.Retry); path != "" {
			return action{Text: "Try again", Path: path}, true
		}
		return p.way(wayStart)
	case wayAddress:
		return action{Text: "Try this address again", Path: pathStart}, true
	case wayStart:
		return action{Text: "Go to the start page", Path: pathStart}, true
	case wayLogin:
		return action{Text: "Go to sign-in", Path: pathLogin}, true
	case wayAccount:
		return action{Text: "Your account", Path: pathAccount}, true
	case waySwitch:
		return action{Text: "Sign out and use another account", Path: pathLogout, Post: true}, p.Email != ""
	}
	return action{}, false
}

var _ Page = Failure{}
