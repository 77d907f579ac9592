package page

import "time"

// Problem is why a form is shown again. The texts are constant and never say which half was wrong (THREATS L1).
type Problem uint8

const (
	// NoProblem shows the form for the first time.
	NoProblem Problem = iota
	// MissingDetails: the email or the password was left empty. Not counted as a try.
	MissingDetails
	// WrongDetails: unknown person, wrong password, disabled, no password: all the same.
	WrongDetails
	// MissingCode: the code was left empty or is not six digits. Not counted as a try.
	MissingCode
	// WrongCode: the code is wrong, too old, or was used before.
	WrongCode
	// TooManyTries: a limit was reached; RetryAfter says when the next try counts.
	TooManyTries
	// Busy: too many people sign in at this moment (password queue full).
	Busy
	// Unavailable: a store cannot be asked, so nobody can be let in.
	Unavailable
	problems // number of problems
)

// Notice is what happened before, when it is no error.
type Notice uint8

const (
	// NoNotice says nothing.
	NoNotice Notice = iota
	// NoticeSignedOut: the person has just signed out.
	NoticeSignedOut
	// NoticeSessionEnded: the session reached a limit or was ended elsewhere.
	NoticeSessionEnded
	// NoticeSignInExpired: the sign-in was not finished in time and starts again.
	NoticeSignInExpired
	// NoticeSignInAgain: the session goes on, but is not enough for what the practice asks of everybody now.
	NoticeSignInAgain
	// NoticeFactorSet: the authenticator app is set up (account page).
	NoticeFactorSet
	// NoticeSessionGone: one other session was signed out (account page).
	NoticeSessionGone
	// NoticeOthersGone: all other sessions were signed out (account page).
	NoticeOthersGone
	notices // number of notices
)

// text returns the notice's sentence; "" for none.
func (n Notice) text() string {
	switch n {
	case NoticeSignedOut:
		return "You have signed out."
	case NoticeSessionEnded:
		return "Your session has ended. Sign in again to go on where you were."
	case NoticeSignInExpired:
		return "The sign-in was not finished in time. Please start again."
	case NoticeSignInAgain:
		return "Your practice asks you to sign in again."
	case NoticeFactorSet:
		return "Your authenticator app is set up."
	case NoticeSessionGone:
		return "That session is signed out."
	case NoticeOthersGone:
		return "You are signed out everywhere else."
	}
	return ""
}

// Ids of the fields. They equal the names of the form contract (DESIGN section 7).
const (
	fieldEmail    = "email"
	fieldPassword = "password"
	fieldCode     = "code"
)

// summary is the box at the top of a page that tells of a problem.
type summary struct {
	Text string // what happened
	Next string // what to do now; shown beside the field where there is one
	// Field is the id of the field it is about, "" when no field can mend it. Only a page that has the field
	// may show the summary with it: see within.
	Field string
}

// summary returns the texts of a problem; nil for none. A value that is not in the list is Unavailable.
func (p Problem) summary(after time.Duration) *summary {
	switch p {
	case NoProblem:
		return nil
	case MissingDetails:
		return &summary{Text: "Type your email and your password.", Field: fieldEmail}
	case WrongDetails:
		return &summary{Text: "The email or the password is not right.",
			Next: "Check your email, then type your password again.", Field: fieldPassword}
	case MissingCode:
		return &summary{Text: "Type the 6-digit code from your authenticator app.", Field: fieldCode}
	case WrongCode:
		return &summary{Text: "That code did not work.",
			Next: "Wait for a new code in your app and type that one. If it fails again, set your phone’s clock to automatic.", Field: fieldCode}
	case TooManyTries:
		return &summary{Text: "There were too many tries.",
			Next: "Wait " + wait(after) + ", then try again."}
	case Busy:
		return &summary{Text: "Many people are signing in at this moment.",
			Next: "Wait " + wait(after) + ", then try again. Nothing is wrong with your account."}
	default:
		return &summary{Text: "Sign-in is not available right now.",
			Next: "Wait " + wait(after) + ", then try again. Nothing is wrong with your account."}
	}
}

// support says whether the person may have to ask for help, quoting the reference.
func (p Problem) support() bool { return p >= TooManyTries }

// within drops the summary's link when the page has no such field, so that no link leads nowhere.
func (s *summary) within(fields ...string) *summary {
	if s == nil {
		return nil
	}
	for _, f := range fields {
		if s.Field == f {
			return s
		}
	}
	s.Field = ""
	return s
}

// at returns what to say beside that field, "" when the summary is not about it.
func (s *summary) at(field string) string {
	switch {
	case s == nil || s.Field != field:
		return ""
	case s.Next != "":
		return s.Next
	default:
		return s.Text
	}
}
