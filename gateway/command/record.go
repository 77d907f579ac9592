package command

import (
	"context"
	"errors"
	"os"
	"os/user"
	"strconv"
	"time"

	"clinicgate/gateway/account"
	"clinicgate/gateway/audit"
	"clinicgate/policy"
)

// actor is who runs the command, as the operating system knows them. It does not come
// from the environment, which anybody can set (user.Current may ask it).
func actor() string {
	id := strconv.Itoa(os.Geteuid())
	if u, err := user.LookupId(id); err == nil && u.Username != "" {
		return "cli:" + u.Username
	}
	return "cli:" + id
}

// event begins an audit event of this call.
func (c *call) event(class audit.Class, action, subject string) audit.Event {
	e := audit.Event{Class: class, Action: action, Actor: actor(), Subject: subject, Detail: map[string]string{}}
	if sudo := os.Getenv("SUDO_USER"); sudo != "" {
		e.Detail["sudo_user"] = sudo // a claim: who becomes the gateway's user is seen in sudo's own log
	}
	if f := c.cmd.Flags().Lookup("reason"); f != nil && f.Value.String() != "" {
		e.Detail["why"] = f.Value.String()
	}
	return e
}

// failedTimeout bounds the note about a change that failed.
const failedTimeout = 5 * time.Second

// recorded carries out a change that is in the practice's audit log before it takes
// effect. Without the record nothing is changed. A change that fails all the same is
// followed by a second record that says so.
func (c *call) recorded(ctx context.Context, id policy.PracticeID, e audit.Event, change func() error) error {
	if err := c.Audit.Append(ctx, id, e); err != nil {
		return refuse("nothing was changed, because it could not be recorded: %w", err)
	}
	err := change()
	var partly errPartly
	if err != nil && !errors.As(err, &partly) && !errors.Is(err, account.ErrNotAnnounced) {
		c.recordFailure(ctx, id, e, err)
	}
	return err
}

// errPartly marks an error after which the change stands all the same, so that the log
// must not call it off.
type errPartly struct{ error }

func (c *call) recordFailure(ctx context.Context, id policy.PracticeID, e audit.Event, cause error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), failedTimeout)
	defer cancel()
	failed := e
	failed.Action = "change_failed"
	failed.Detail = map[string]string{"change": e.Action, "reason": "not_done", "error": cause.Error()}
	// The first record stands in any case; that this one is missing does no more harm
	// than a change that is believed to have been made.
	_ = c.Audit.Append(ctx, id, failed)
}
