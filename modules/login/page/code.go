package page

import (
	"strings"
	"time"
)

// SecondFactor asks for the code of an enrolled authenticator app, after a right password. It posts code and
// rd to /.gate/login/totp; "Not you?" posts to /.gate/logout, so that the sign-in that was begun ends on the
// server and the next person at a shared computer finds nothing of it.
type SecondFactor struct {
	Base
	// Email is who is signing in: on a shared computer people must see whose code is asked for.
	Email string
	// Return is where to go after the sign-in: a path on this host. Anything else is left out.
	Return string
	// Problem is why the last try failed.
	Problem Problem
	// RetryAfter is how long to wait (TooManyTries, Busy, Unavailable).
	RetryAfter time.Duration
}

// codeField is the one field for six digits.
type codeField struct {
	Label, Error string
	Focus        bool
}

type code struct {
	Action, Logout string
	Summary        *summary
	Email, Return  string
	Field          codeField
}

func (p SecondFactor) frame() frame {
	s := p.Problem.summary(p.RetryAfter).within(fieldCode)
	return newFrame(p.Base, "code", "Type your code", layoutSplit, code{
		Action: pathTOTP, Logout: pathLogout, Summary: s,
		Email: clip(p.Email, maxShown), Return: localPath(p.Return),
		Field: codeField{Label: "6-digit code", Error: s.at(fieldCode), Focus: s == nil},
	}).failed(p.Base, s != nil, p.Problem.support())
}

// Proof is what a step-up asks for.
type Proof uint8

const (
	// ProofCode asks for the authenticator app's code: code and rd to /.gate/login/totp.
	ProofCode Proof = iota
	// ProofPassword asks for the password again: email, password and rd to /.gate/login.
	ProofPassword
)

// StepUp asks somebody who is signed in to prove again that it is them.
type StepUp struct {
	Base
	// Email is who is signed in.
	Email string
	// Area names what they want to open ("prescriptions"), made by the function Area; anything else is ignored.
	Area string
	// Proof is what is asked for.
	Proof Proof
	// Return is where to go afterwards: a path on this host. Anything else is left out.
	Return string
	// Problem is why the last try failed.
	Problem Problem
	// RetryAfter is how long to wait (TooManyTries, Busy, Unavailable).
	RetryAfter time.Duration
}

type stepUp struct {
	Action, Logout string
	Summary        *summary
	Email, Area    string
	Password       bool
	Details        details
	Field          codeField
	Return         string
}

func (p StepUp) frame() frame {
	m := stepUp{Action: pathTOTP, Logout: pathLogout, Email: clip(p.Email, maxShown),
		Area: areaWord(p.Area), Return: localPath(p.Return)}
	m.Summary = p.Problem.summary(p.RetryAfter).within(fieldCode)
	if p.Proof == ProofPassword {
		m.Action, m.Password = pathLogin, true
		m.Summary = p.Problem.summary(p.RetryAfter).within(fieldPassword)
		if p.Problem == WrongDetails {
			m.Summary = &summary{Text: "That password is not right.", Next: "Type your password again.", Field: fieldPassword}
		} else if p.Problem == MissingDetails {
			m.Summary = &summary{Text: "Type your password.", Field: fieldPassword}
		}
		m.Details = newDetails(p.Email, NoProblem, m.Summary)
		m.Details.Known = true
	}
	m.Field = codeField{Label: "6-digit code from your authenticator app", Error: m.Summary.at(fieldCode), Focus: m.Summary == nil}
	return newFrame(p.Base, "stepup", "Confirm it’s you", layoutSplit, m).failed(p.Base, m.Summary != nil, p.Problem.support())
}

// Area makes the word for StepUp and Failure out of the path of the rule that decided: "/prescriptions/*" gives
// "prescriptions". (The request's own path would let a stranger's link choose the words.) It returns "" where
// the path's first part is no plain word.
func Area(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return areaWord(strings.ReplaceAll(first, "-", " "))
}

// areaWord returns s if it is what Area returns: 3 to 24 small letters, single blanks between them; else "".
func areaWord(s string) string {
	if len(s) < 3 || len(s) > 24 {
		return ""
	}
	blank := true
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z':
			blank = false
		case c == ' ' && !blank:
			blank = true
		default:
			return ""
		}
	}
	if blank {
		return ""
	}
	return s
}

var (
	_ Page = SecondFactor{}
	_ Page = StepUp{}
)
