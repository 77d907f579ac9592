package login

// ParseReturnPath is for the tests of what only a form's field can say.
var (
	ParseReturnPath = parseReturnPath
	LooksLikeCode   = looksLikeCode
)

// Query is the path as the value of "rd".
func (p ReturnPath) Query() string { return p.query() }
