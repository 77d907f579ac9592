package answer

import (
	"net/http"
	"strings"
)

// What a request says of who sent it: the Fetch Metadata of browsers, and what older
// ones send instead.

// IsNavigation reports a top-level navigation: the address bar, a link, a form.
// Only these are redirected; everything else gets a status that a program
// understands (THREATS C11).
func IsNavigation(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	}
	return WantsPage(r)
}

// IsWindow reports a page of its own in front of a person, or a browser that does not
// say: no fetch of a script and no frame. What a script opens as a window it cannot look
// into, because the pages' Cross-Origin-Opener-Policy parts the two.
func IsWindow(r *http.Request) bool {
	dest := r.Header.Get("Sec-Fetch-Dest")
	return dest == "" || dest == "document"
}

// WantsPage reports that a person will look at the answer.
func WantsPage(r *http.Request) bool {
	if dest := r.Header.Get("Sec-Fetch-Dest"); dest != "" {
		return dest == "document" || dest == "iframe" || dest == "frame"
	}
	_, upgrade := r.Header["Upgrade"]
	return !upgrade && r.Header.Get("X-Requested-With") == "" && strings.Contains(r.Header.Get("Accept"), "text/html")
}

var crossOrigin = http.NewCrossOriginProtection()

// IsForeign reports a request that may change something and comes from a page of
// another origin (THREATS C8). Go's check takes a page of this host without TLS for one
// of ours where a browser sends no Fetch Metadata; whoever can change such a page must
// not send forms here.
func IsForeign(r *http.Request) bool {
	if crossOrigin.Check(r) != nil {
		return true
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	}
	origin := r.Header.Get("Origin")
	return origin != "" && r.Header.Get("Sec-Fetch-Site") == "" && !strings.HasPrefix(origin, "https://")
}
