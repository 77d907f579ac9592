package page

import "time"

// SignIn is the page that begins a sign-in. It posts email, password and rd to /.gate/login.
type SignIn struct {
	Base
	// Email is shown again after a failed try.
	Email string
	// Return is where to go after the sign-in: a path on this host. Anything else is left out.
	Return string
	// Notice is what happened before; a Problem hides it.
	Notice Notice
	// Problem is why the last try failed.
	Problem Problem
	// RetryAfter is how long to wait (TooManyTries, Busy, Unavailable).
	RetryAfter time.Duration
}

type signIn struct {
	Action  string
	Notice  string
	Summary *summary
	Details details
	Return  string
}

// details are the two fields of a password sign-in.
type details struct {
	Email                     string
	EmailError, PasswordError string
	BothWrong                 bool // the password's error is about the email too
	FocusEmail, FocusPassword bool
	Known                     bool // who it is is settled (step-up): the email can be read, not changed
}

func newDetails(email string, p Problem, s *summary) details {
	d := details{EmailError: s.at(fieldEmail), PasswordError: s.at(fieldPassword), BothWrong: p == WrongDetails}
	if len(email) <= maxEmail {
		d.Email = clip(email, maxEmail)
	}
	if s == nil { // with a summary the focus belongs to it
		d.FocusEmail, d.FocusPassword = d.Email == "", d.Email != ""
	}
	return d
}

func (p SignIn) frame() frame {
	s := p.Problem.summary(p.RetryAfter).within(fieldEmail, fieldPassword)
	if p.Problem == MissingDetails && p.Email != "" {
		s = &summary{Text: "Type your password.", Field: fieldPassword}
	}
	m := signIn{Action: pathLogin, Summary: s, Details: newDetails(p.Email, p.Problem, s), Return: localPath(p.Return)}
	if s == nil {
		m.Notice = p.Notice.text()
	}
	return newFrame(p.Base, "signin", "Sign in", layoutSplit, m).failed(p.Base, s != nil, p.Problem.support())
}

var _ Page = SignIn{}
