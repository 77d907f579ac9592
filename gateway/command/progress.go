package command

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
)

// patience is how long work may take without showing how far it is.
const patience = 2 * time.Second

// progress shows a bar on standard error, if that is a terminal, once work has taken
// longer than patience. The zero value shows nothing.
type progress struct {
	label string
	w     io.Writer // nil: show nothing
	now   func() time.Time
	begun time.Time
	bar   *progressbar.ProgressBar
}

func newProgress(cmd *cobra.Command, label string) *progress {
	p := &progress{label: label, now: time.Now, begun: time.Now()}
	if isTerminal(cmd.ErrOrStderr()) {
		p.w = cmd.ErrOrStderr()
	}
	return p
}

// at says how much is done.
func (p *progress) at(done, total int64) {
	if p.w == nil || total <= 0 {
		return
	}
	if p.bar == nil {
		if p.now().Sub(p.begun) < patience {
			return
		}
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(p.label),
			progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
	}
	if p.bar.GetMax64() != total {
		p.bar.ChangeMax64(total)
	}
	_ = p.bar.Set64(min(done, total)) // a bar that cannot be drawn must not stop the work
}

// end takes the bar away.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
