package enforce

import (
	"clinicgate/gateway/core"
	"clinicgate/modules/answer"
)

// New returns a Handler on an open core, as Provision makes it.
func New(c *core.Core) *Handler {
	return &Handler{core: c, answers: answer.New(c)}
}
