package command

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"clinicgate/gateway/account"
	"clinicgate/gateway/audit"
	"clinicgate/gateway/core"
	"clinicgate/gateway/directory"
	"clinicgate/gateway/session"
)

func init() {
	register("session", "Who is signed in: list, revoke", func(cmd *cobra.Command) {
		cmd.Long = "Sessions of a practice. A session that is revoked is refused by every node within a second, and its\n" +
			"open streams are cut."
		stateFlags(cmd)
		practiceFlag(cmd)
		group(cmd, sessionList(), sessionRevoke())
	})
}

// sessionView is a session for programs. Its id is the public one, which opens nothing.
type sessionView struct {
	ID       string    `json:"id"`
	UserID   string    `json:"user_id"`
	Email    string    `json:"email,omitempty"`
	Level    string    `json:"level"`
	Methods  []string  `json:"methods"`
	Created  time.Time `json:"created"`
	LastSeen time.Time `json:"last_seen"`
	Address  string    `json:"address,omitempty"`
	Device   string    `json:"device,omitempty"`
}

// maxSessions is how many sessions are listed at most: what session.Manager gives.
const maxSessions = 1000

func sessionList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "Show who is signed in, newest first",
		RunE: on(listSessions, "practice"),
	}
	cmd.Flags().String("user", "", "only of this person: e-mail address or id")
	return cmd
}

func listSessions(ctx context.Context, c *call) error {
	p, err := c.usable()
	if err != nil {
		return err
	}
	people, err := c.Accounts.List(ctx, p.ID)
	if err != nil {
		return err
	}
	records, err := c.sessionsOf(ctx, p)
	if err != nil {
		return err
	}
	views := viewSessions(records, people)
	more := len(views) == maxSessions
	return c.print(map[string]any{"practice": p.ID, "sessions": views, "more": more}, func(w io.Writer) {
		printSessions(w, views, p, more)
	})
}

func (c *call) sessionsOf(ctx context.Context, p *directory.Practice) ([]session.Record, error) {
	if name := text(c.cmd, "user"); name != "" {
		who, err := c.person(ctx, p.ID, name)
		if err != nil {
			return nil, err
		}
		return c.Sessions.List(ctx, core.SessionLimits(p), who.ID)
	}
	return c.Sessions.ListAll(ctx, core.SessionLimits(p), maxSessions)
}

func viewSessions(records []session.Record, people []account.Person) []sessionView {
	emails := make(map[string]string, len(people))
	for _, who := range people {
		emails[who.ID] = who.Email
	}
	views := make([]sessionView, len(records))
	for i, r := range records {
		views[i] = sessionView{
			ID: r.ID.String(), UserID: r.User, Email: emails[r.User], Level: r.Level.String(), Methods: list(r.AMR),
			Created: r.Created.UTC(), LastSeen: r.LastSeen.UTC(), Device: r.Agent,
		}
		if r.Addr.IsValid() {
			views[i].Address = r.Addr.String()
		}
	}
	return views
}

func printSessions(w io.Writer, views []sessionView, p *directory.Practice, more bool) {
	if len(views) == 0 {
		fmt.Fprintln(w, "Nobody is signed in.")
		return
	}
	rows := make([][]string, len(views))
	for i, v := range views {
		rows[i] = []string{v.ID, v.Email, v.Level, strings.Join(v.Methods, ", "), when(v.Created, p), when(v.LastSeen, p), v.Address, v.Device}
	}
	table(w, []string{"SESSION", "PERSON", "LEVEL", "METHODS", "SIGNED IN", "LAST SEEN", "ADDRESS", "DEVICE"}, rows)
	if more {
		fmt.Fprintf(w, "These are the newest %d; there may be more.\n", maxSessions)
	}
}

func sessionRevoke() *cobra.Command {
	cmd := &cobra.Command{
		Use: "revoke ID | --user PERSON | --all", Short: "End a session, a person's sessions, or all of a practice", Args: atMost(1),
		RunE: on(revokeSessions, "practice"),
	}
	cmd.Flags().String("user", "", "all sessions of this person: e-mail address or id")
	cmd.Flags().Bool("all", false, "all sessions of the practice")
	reasonFlag(cmd)
	return cmd
}

func revokeSessions(ctx context.Context, c *call) error {
	user, all := text(c.cmd, "user"), yes(c.cmd, "all")
	chosen := len(c.args)
	for _, named := range []bool{user != "", all} {
		if named {
			chosen++
		}
	}
	if chosen != 1 {
		return usage("say which sessions to end: one ID, --user PERSON or --all")
	}
	p, err := c.practice()
	if err != nil {
		return err
	}
	switch {
	case all:
		return c.revoke(ctx, p, "all", "", func() (int, error) { return c.Sessions.EndPractice(ctx, p.ID) })
	case user != "":
		who, err := c.person(ctx, p.ID, user)
		if err != nil {
			return err
		}
		return c.revoke(ctx, p, "user", who.ID, func() (int, error) { return c.Sessions.EndUser(ctx, p.ID, who.ID) })
	}
	return c.revokeOne(ctx, p)
}

func (c *call) revokeOne(ctx context.Context, p *directory.Practice) error {
	id, err := session.ParseID(c.args[0])
	if err != nil {
		return usage("%.60q is no session id: `gateway session list` shows them", c.args[0])
	}
	return c.revoke(ctx, p, "session", id.String(), func() (int, error) {
		found, err := c.Sessions.EndByPublicID(ctx, p.ID, id)
		if err == nil && !found {
			return 0, refuse("%s has no session %s: it has ended, or belongs to another practice", p.ID, id)
		}
		return 1, err
	})
}

// revoke ends sessions. It is recorded first, also when there turns out to be none.
func (c *call) revoke(ctx context.Context, p *directory.Practice, scope, subject string, end func() (int, error)) error {
	e := c.event(audit.Session, "revoked", subject)
	e.Detail["scope"] = scope
	var ended int
	err := c.recorded(ctx, p.ID, e, func() (err error) {
		ended, err = end()
		return err
	})
	if err != nil {
		return err
	}
	return c.print(map[string]any{"practice": p.ID, "ended": ended}, func(w io.Writer) {
		fmt.Fprintf(w, "%s ended.\n", counted(ended, "session"))
	})
}
