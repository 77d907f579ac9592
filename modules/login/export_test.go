package login

import (
	"time"

	"clinicgate/gateway/core"
)

// ParseReturnPath is for the tests of what only a form's field can say.
var ParseReturnPath = parseReturnPath

// RetryBusy is how long people are asked to wait when all places are taken.
var RetryBusy = retryBusy

// Query is the path as the value of "rd".
func (p ReturnPath) Query() string { return p.query() }

// Open returns a handler that serves with a core, and waits that long for a form.
func Open(c *core.Core, formTime time.Duration) *Handler {
	h := new(Handler)
	h.open(c)
	h.formTime = formTime
	return h
}
