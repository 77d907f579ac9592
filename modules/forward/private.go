package forward

import (
	"net/http"
	"strings"
)

// perPerson is for an answer whose backend says nothing about caches: without it a
// browser may show the page again for days, to whoever sits there by then.
var perPerson = []string{"private, no-cache"}

// keepPrivate has an answer to somebody signed in kept by their browser alone, and
// asked for again where the backend did not say that it need not be. The backend
// cannot see to that: the cookie that its answer depends on is ours, and so it says no
// "Vary: Cookie" (RFC 9111 section 3.5 spares only Authorization;
// TestAnswersToAPersonAreNobodyElses).
func keepPrivate(h http.Header) {
	values, present := h["Cache-Control"]
	if !present {
		h["Cache-Control"] = perPerson
		return
	}
	said := strings.Join(values, ", ")
	if lower := strings.ToLower(said); !strings.Contains(lower, "no-store") && !strings.Contains(lower, "private") {
		h["Cache-Control"] = []string{said + ", private"}
	}
}
