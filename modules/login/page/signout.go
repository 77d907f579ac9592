package page

// ConfirmLogout is what a GET of /.gate/logout shows: a link or an image of another site must not be able to
// sign anybody out. It posts to /.gate/logout.
type ConfirmLogout struct {
	Base
	// Email is who is signed in; empty says nothing.
	Email string
	// Return is where "Stay signed in" leads; not a path on this host: the start page.
	Return string
}

type confirmLogout struct{ Action, Email, Stay string }

func (p ConfirmLogout) frame() frame {
	return newFrame(p.Base, "confirmlogout", "Sign out", layoutSplit, confirmLogout{
		Action: pathLogout, Email: clip(p.Email, maxShown), Stay: localOr(p.Return, pathStart),
	})
}

var _ Page = ConfirmLogout{}
