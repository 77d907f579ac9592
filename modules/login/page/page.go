// Package page renders everything that clinic staff see of the gateway itself: sign-in, second factor,
// enrolment, account, sign-out and every refusal.
//
// It is pure: view models in, bytes out. It knows no HTTP, no clock and no store; whoever answers the request
// sets the headers (ContentType, ContentSecurityPolicy, no-store) and the status. Practice names, people's
// names and user agents are hostile input: each is bounded by clip, isolated by <bdi> and escaped by
// html/template for its place; nothing here ever hands html/template a pre-approved HTML, CSS or script value.
package page

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"time"
)

// ContentSecurityPolicy is the policy every page is written for: no script of any kind, no inline style, no
// frame, and forms that go nowhere but home. TestNoInlineStyleOrScript keeps the pages within it.
const ContentSecurityPolicy = "default-src 'none'; style-src 'self'; img-src 'self' data:; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// ContentType is the type of every page.
const ContentType = "text/html; charset=utf-8"

// Where the pages' forms and links lead (DESIGN section 7).
const (
	pathLogin       = "/.gate/login"
	pathTOTP        = "/.gate/login/totp"
	pathEnrol       = "/.gate/enrol/totp"
	pathLogout      = "/.gate/logout"
	pathAccount     = "/.gate/account"
	pathEndSessions = "/.gate/account/sessions/end"
	pathStart       = "/"
)

// Base is what every page carries.
type Base struct {
	// Practice is the practice's display name. Empty shows a page without a name (unknown address).
	Practice string
	// RequestID identifies the request. Pages that tell of a problem show its last characters, see Reference.
	RequestID string
	// Zone is the practice's time zone. Nil shows times in UTC and says so.
	Zone *time.Location
}

// Page is one of this package's view models. The set is closed.
type Page interface {
	frame() frame
}

// frame is what the layout needs of a page.
type frame struct {
	name      string   // template file without its ending
	Title     string   // without the practice's name
	Failed    bool     // the title starts with "Error: "
	Practice  string   // bounded
	Reference []string // groups of four; none shows none
	Layout    layout
	Reload    int // seconds until the browser asks again; 0 never
	Main      any
}

// layout is the body's class in gate.css.
type layout string

const (
	layoutSplit layout = "split" // name beside the form (above it on a phone)
	layoutWide  layout = "wide"  // name above a longer text
)

// Stylesheet and Icon are the layout's links.
func (frame) Stylesheet() string { return StylesheetPath }
func (frame) Icon() string       { return IconPath }

// newFrame fills what every page has.
func newFrame(b Base, name, title string, l layout, main any) frame {
	return frame{name: name, Title: title, Practice: clip(b.Practice, maxPractice), Layout: l, Main: main}
}

// failed marks a page that tells of a problem. The reference comes with it only where support can help:
// beside a mistyped password it would be noise.
func (f frame) failed(b Base, failed, support bool) frame {
	f.Failed = failed
	if support {
		f.Reference = groups(Reference(b.RequestID))
	}
	return f
}

//go:embed templates/*.html
var templateFiles embed.FS

// templates are parsed once, at start; a broken one stops the program before it serves anything.
var templates = parse("signin", "code", "enrol", "account", "stepup", "confirmlogout", "failure")

func parse(names ...string) map[string]*template.Template {
	shared := template.Must(template.ParseFS(templateFiles, "templates/layout.html", "templates/parts.html"))
	set := make(map[string]*template.Template, len(names))
	for _, name := range names {
		set[name] = template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, "templates/"+name+".html"))
	}
	return set
}

// Render writes the whole page to w. It renders into memory first: on an error nothing at all was written, so
// that the caller can still answer with something else. An error of w itself is returned as it is.
func Render(w io.Writer, p Page) error {
	if p == nil {
		return errors.New("rendering a page: no page given")
	}
	f := p.frame()
	t, ok := templates[f.name]
	if !ok {
		return fmt.Errorf("rendering a page: no template %q", f.name)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout", f); err != nil {
		return fmt.Errorf("rendering page %q: %w", f.name, err)
	}
	_, err := w.Write(b.Bytes())
	return err
}
