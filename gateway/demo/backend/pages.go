package backend

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"slices"
	"strings"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// maxForm bounds a posted form, in bytes.
const maxForm = 64 << 10

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// pagePolicy lets in this style sheet and this host's forms, nothing else.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

// identityPrefixes are the names the gateway alone may set (DESIGN section 6).
var identityPrefixes = []string{"X-Practice-", "X-User-", "X-Auth-", "X-Session-", "X-Gate-", "X-Request-Id"}

// page is what the template shows.
type page struct {
	Style    template.CSS
	Title    string
	Kind     string // "home", "form" or ""
	Text     string
	Practice string
	User     user
	Headers  []header
}

// user is who the identity headers name; the zero user is anonymous.
type user struct{ Name, Email, Roles, Level string }

// Known says whether anybody is signed in.
func (u user) Known() bool { return u.Email != "" || u.Name != "" }

type header struct{ Name, Value string }

// render writes p for the person that r's identity headers name. html/template escapes every value of theirs.
func render(w http.ResponseWriter, r *http.Request, status int, p page) {
	p.Style = template.CSS(pageStyle) // our own file, its hash is in pagePolicy
	p.Practice = r.Header.Get("X-Practice-Id")
	p.User = user{
		Name: r.Header.Get("X-User-Name"), Email: r.Header.Get("X-User-Email"),
		Roles: strings.ReplaceAll(r.Header.Get("X-User-Roles"), ",", ", "), Level: r.Header.Get("X-Auth-Level"),
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		answerError(w, http.StatusInternalServerError, "the page could not be written")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// identityHeaders lists what the gateway said, by name.
func identityHeaders(r *http.Request) []header {
	var list []header
	for name, values := range r.Header {
		if slices.ContainsFunc(identityPrefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			list = append(list, header{name, strings.Join(values, " | ")})
		}
	}
	slices.SortFunc(list, func(a, b header) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (s *server) serveHome(w http.ResponseWriter, r *http.Request) {
	render(w, r, http.StatusOK, page{Title: "Today", Kind: "home", Headers: identityHeaders(r)})
}

func (s *server) serveBilling(w http.ResponseWriter, r *http.Request) {
	render(w, r, http.StatusOK, page{Title: "Billing", Text: "Accounts and claims at " + r.URL.Path + "."})
}

func (s *server) serveBooking(w http.ResponseWriter, r *http.Request) {
	render(w, r, http.StatusOK, page{Title: "Booking", Text: "Patients book their visits here, without signing in."})
}

// servePrescriptions shows the form, and on POST says what was prescribed.
func (s *server) servePrescriptions(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		render(w, r, http.StatusOK, page{Title: "Prescriptions", Kind: "form"})
	case http.MethodPost:
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		medicine := strings.TrimSpace(r.PostFormValue("medicine"))
		if medicine == "" {
			render(w, r, http.StatusUnprocessableEntity, page{Title: "Prescriptions", Kind: "form",
				Text: "Nothing was prescribed. Enter a medicine."})
			return
		}
		render(w, r, http.StatusOK, page{Title: "Prescriptions", Kind: "form", Text: "Prescribed: " + medicine})
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		answerError(w, http.StatusMethodNotAllowed, "prescriptions: GET or POST")
	}
}

func (s *server) serveMissing(w http.ResponseWriter, r *http.Request) {
	render(w, r, http.StatusNotFound, page{Title: "Not found", Text: "There is no page at this address."})
}
