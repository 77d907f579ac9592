package page

import "time"

// maxSessions bounds the list; the rest is told as a number and ended with "everywhere else".
const maxSessions = 50

// maxRoles bounds the roles shown of one person.
const maxRoles = 12

// Factor is the state of a person's second factor.
type Factor uint8

const (
	// FactorNone: nothing is set up.
	FactorNone Factor = iota
	// FactorApp: an authenticator app is set up.
	FactorApp
)

// Session is one signed-in browser of the person.
type Session struct {
	// ID is the public id, never the cookie.
	ID string
	// Device is its label ("Firefox on Windows").
	Device string
	// Addr is the address it was last used from.
	Addr string
	// SignedIn and LastSeen are its times; a zero one is left out.
	SignedIn, LastSeen time.Time
	// Current marks the session that asks for the page.
	Current bool
}

// Account is a person's own page. It posts session=ID or all=others to /.gate/account/sessions/end.
type Account struct {
	Base
	Name, Email string
	// Roles as the policy names them; the page puts them into words.
	Roles []string
	// Factor is the second factor's state, SetUpBy the person's date when there is one and none is set up.
	Factor  Factor
	SetUpBy time.Time
	// Sessions, the current one among them.
	Sessions []Session
	// Now tells today from other days.
	Now time.Time
	// Notice is what was just done.
	Notice Notice
	// Problem is why it was not done (Unavailable).
	Problem    Problem
	RetryAfter time.Duration
}

type account struct {
	Enrol, Logout, End, Start string
	Notice                    string
	Summary                   *summary
	Name, Email               string
	Roles                     []string
	HasApp                    bool
	SetUpBy                   string
	Sessions                  []sessionRow
	Others                    bool
	Hidden                    int
}

type sessionRow struct {
	ID, Device, Addr string
	SignedIn, Seen   string
	Current          bool
}

func (p Account) frame() frame {
	m := account{
		Enrol: pathEnrol, Logout: pathLogout, End: pathEndSessions, Start: pathStart,
		Summary: p.Problem.summary(p.RetryAfter).within(),
		Name:    clip(p.Name, maxName), Email: clip(p.Email, maxShown), Roles: rolesInWords(p.Roles),
		HasApp: p.Factor == FactorApp,
	}
	if m.Summary == nil {
		m.Notice = p.Notice.text()
	}
	if !m.HasApp && !p.SetUpBy.IsZero() {
		m.SetUpBy = lastDay(p.SetUpBy, p.Zone)
	}
	for _, s := range p.Sessions {
		m.Others = m.Others || !s.Current
		if len(m.Sessions) == maxSessions {
			m.Hidden++
			continue
		}
		m.Sessions = append(m.Sessions, p.row(s))
	}
	return newFrame(p.Base, "account", "Your account", layoutWide, m).failed(p.Base, m.Summary != nil, p.Problem.support())
}

func (p Account) row(s Session) sessionRow {
	r := sessionRow{ID: clip(s.ID, maxAddress), Device: clip(s.Device, maxDevice), Addr: clip(s.Addr, maxAddress), Current: s.Current}
	if r.Device == "" {
		r.Device = "Unknown device"
	}
	if !s.SignedIn.IsZero() {
		r.SignedIn = moment(s.SignedIn, p.Now, p.Zone)
	}
	if !s.LastSeen.IsZero() {
		r.Seen = moment(s.LastSeen, p.Now, p.Zone)
	}
	return r
}

// rolesInWords returns at most maxRoles roles as people call them.
func rolesInWords(roles []string) []string {
	var words []string
	for _, r := range roles[:min(len(roles), maxRoles)] {
		if w := roleWord(r); w != "" {
			words = append(words, w)
		}
	}
	return words
}

var _ Page = Account{}
