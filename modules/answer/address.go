package answer

import (
	"net/http"
	"net/url"
)

// LoginURL is where a person signs in and comes back from to what they wanted.
func LoginURL(r *http.Request) string { return "/.gate/login?rd=" + returnTo(r) }

// StepUpURL is where a signed-in person proves the second factor again.
func StepUpURL(r *http.Request) string { return "/.gate/login/totp?rd=" + returnTo(r) }

// PasswordURL is where a signed-in person types the password again.
func PasswordURL(r *http.Request) string { return "/.gate/login?again=1&rd=" + returnTo(r) }

// EnrolURL is where a person sets up a second factor.
func EnrolURL(r *http.Request) string { return "/.gate/enrol/totp?rd=" + returnTo(r) }

// returnTo is the address to come back to. After a form the page that showed it is
// the better place: the form's own address may not take a GET.
func returnTo(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return url.QueryEscape(r.URL.RequestURI())
	}
	from, err := url.Parse(r.Header.Get("Referer"))
	if err != nil || from.Host != r.Host || from.Path == "" {
		return "%2F"
	}
	return url.QueryEscape(from.RequestURI())
}

// Redirect sends a browser to a path of the same host with 303, so that it asks
// with GET whatever it asked with before.
func Redirect(w http.ResponseWriter, path string) {
	h := w.Header()
	h.Set("Location", path)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
}
