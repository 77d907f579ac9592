package forward

import "net/http"

// What the tests try without a running gateway.
var (
	CleanAnswer     = cleanAnswer
	WithoutTrailers = withoutTrailers
	IsFinal         = isFinal
	HeaderSafe      = headerSafe
)

// StepUp is what an answer asks for: asked, the level's name and the age in seconds.
func StepUp(res *http.Response) (asked bool, level string, maxAge int) {
	c, asked := stepUpChallenge(res)
	return asked, c.level.String(), c.maxAge
}
