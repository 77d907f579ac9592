package page

import "net/http"

// Kind is why a request was not answered. The zero Kind is Internal.
type Kind uint8

const (
	// Internal: something of ours broke (500).
	Internal Kind = iota
	// NotUnderstood: the request is malformed or ambiguous (400).
	NotUnderstood
	// Expired: the page was open too long, or the form came from somewhere else (403).
	Expired
	// NotAllowed: signed in, but the role does not cover it (403).
	NotAllowed
	// NotFromHere: the practice allows its own network only (403).
	NotFromHere
	// MethodNotOffered: the practice does not use this way of signing in (403).
	MethodNotOffered
	// Suspended: the practice is suspended (403).
	Suspended
	// NotFound: one of the gateway's own addresses that does not exist (404).
	NotFound
	// WrongVerb: the address exists, but not for this HTTP method (405).
	WrongVerb
	// TooSlow: a form did not arrive in time (408).
	TooSlow
	// TooLarge: the body is larger than allowed (413).
	TooLarge
	// UnknownAddress: no practice has this host name (421). Shows no practice's name.
	UnknownAddress
	// HeadersTooLarge: too many or too large cookies, mostly (431).
	HeadersTooLarge
	// SSONotSetUp: the practice uses single sign-on, which does not work yet (501).
	SSONotSetUp
	// BackendDown: the clinical system could not be reached or broke off (502).
	BackendDown
	// CannotDecide: a store is not available, so nobody can be let through (503).
	CannotDecide
	// BackendSlow: the clinical system did not answer in time (504).
	BackendSlow
	kinds // number of kinds
)

// way is a way on from a failure; way… constants name them, failure.go builds them.
type way uint8

const (
	wayRetry way = iota + 1
	wayStart
	wayAddress
	wayLogin
	wayAccount
	waySwitch
)

// reason is everything that is particular to a kind.
type reason struct {
	status  int
	heading string
	text    []string // {area} is filled in, here and in the heading
	ways    []way    // the first is the main one
	who     bool     // say who is signed in
	passing bool     // it goes away by itself: says how long to wait, may reload
}

const askAdmin = "If you need help, tell your practice’s admin what you were doing and the reference below."

// reasons is the one place that maps a kind to its status and its words.
var reasons = [kinds]reason{
	Internal: {status: http.StatusInternalServerError, heading: "Something went wrong on our side",
		text: []string{"It is nothing you did. Please try again.", "If it happens again, tell your practice’s admin the reference below."},
		ways: []way{wayRetry, wayStart}},
	NotUnderstood: {status: http.StatusBadRequest, heading: "We could not understand that address",
		text: []string{"The link may be incomplete or damaged. Check the address, or open the page from the start page.", askAdmin},
		ways: []way{wayStart}},
	Expired: {status: http.StatusForbidden, heading: "That page is no longer valid",
		text: []string{"It was open for a long time, or it was not sent from this site. Nothing was changed.", "Please open it again and repeat what you were doing."},
		ways: []way{wayRetry, wayStart}},
	NotAllowed: {status: http.StatusForbidden, heading: "Your role does not include {area}",
		text: []string{"If you need it for your work, ask your practice’s admin. They can change your role."},
		ways: []way{wayStart, waySwitch}, who: true},
	NotFromHere: {status: http.StatusForbidden, heading: "Not available from this place",
		text: []string{"Your practice can be reached only from its own network.", "At the practice: connect to the practice’s network, then try again. Elsewhere: ask your practice’s admin."},
		ways: []way{wayRetry}},
	MethodNotOffered: {status: http.StatusForbidden, heading: "Your practice does not use this way to sign in",
		text: []string{"Ask your practice’s admin how your practice signs in."},
		ways: []way{wayStart}},
	Suspended: {status: http.StatusForbidden, heading: "This practice’s access is paused",
		text: []string{"Nobody can sign in at the moment. No records are lost.", "Your practice’s admin can tell you more."},
		ways: []way{wayRetry}},
	NotFound: {status: http.StatusNotFound, heading: "There is no page at this address",
		text: []string{"Check the address for typing mistakes, or begin at the start page."},
		ways: []way{wayStart, wayAccount}},
	WrongVerb: {status: http.StatusMethodNotAllowed, heading: "This page cannot be opened like that",
		text: []string{"It is part of another page. Please begin at the start page."},
		ways: []way{wayStart, wayAccount}},
	TooSlow: {status: http.StatusRequestTimeout, heading: "That took too long to reach us",
		text: []string{"Your connection may be slow or was interrupted. Nothing was changed.", "Use your browser’s Back button and send it again."},
		ways: []way{wayStart}},
	TooLarge: {status: http.StatusRequestEntityTooLarge, heading: "That was too large to send",
		text: []string{"Use your browser’s Back button and send less at once, or a smaller file.", askAdmin},
		ways: []way{wayStart}},
	UnknownAddress: {status: http.StatusMisdirectedRequest, heading: "We do not know this address",
		text: []string{"Check the address for typing mistakes, or use your bookmark or the link that your practice gave you.", "If that does not help, ask your practice’s admin for the right address."},
		ways: []way{wayAddress}},
	HeadersTooLarge: {status: http.StatusRequestHeaderFieldsTooLarge, heading: "Your browser sent too much at once",
		text: []string{"Mostly this is because of old cookies. Delete the cookies of this site in your browser’s settings, then sign in again.", askAdmin},
		ways: []way{wayLogin}},
	SSONotSetUp: {status: http.StatusNotImplemented, heading: "Single sign-on is not set up yet",
		text: []string{"Your practice signs in through its own sign-in service, which is not connected yet.", "Ask your practice’s admin when it will be ready."},
		ways: []way{wayRetry}},
	BackendDown: {status: http.StatusBadGateway, heading: "The clinical system is not answering",
		text: []string{"You are still signed in. If it goes on, tell your practice’s admin the reference below."},
		ways: []way{wayRetry, wayAccount}, passing: true},
	CannotDecide: {status: http.StatusServiceUnavailable, heading: "We cannot check your access right now",
		text: []string{"To keep records safe nobody is let through until we can. You are not signed out."},
		ways: []way{wayRetry}, passing: true},
	BackendSlow: {status: http.StatusGatewayTimeout, heading: "The clinical system is taking too long",
		text: []string{"You are still signed in. If you were saving something, check whether it was saved before you send it again."},
		ways: []way{wayRetry, wayAccount}, passing: true},
}

// reason returns the kind's entry; a Kind that is not in the list is Internal.
func (k Kind) reason() reason {
	if k >= kinds {
		k = Internal
	}
	return reasons[k]
}

// Status is the HTTP status that belongs to the kind.
func (k Kind) Status() int { return k.reason().status }

// Kinds lists all kinds, for tests that walk them.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}
