package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"clinicgate/gateway/audit"
	"clinicgate/gateway/core"
	"clinicgate/gateway/database"
	"clinicgate/gateway/vault"
	"clinicgate/policy"
)

// moving is a move from a state folder to PostgreSQL.
type moving struct {
	*call
	cluster string // the document, as it is to stand in the Caddyfile
	options core.Options
	to      *database.Set
}

// moved says what was done, for programs.
type moved struct {
	To        string     `json:"to"`
	Practices int        `json:"practices"`
	Rows      int64      `json:"rows"`
	Copied    int        `json:"copied"` // databases, the registry among them, that were not the same already
	Finished  bool       `json:"finished"`
	Logs      []verified `json:"logs,omitempty"`
	Frozen    string     `json:"frozen_for,omitempty"`
}

// target reads where the move goes to.
func (c *call) target() (m moving, err error) {
	m.call = c
	if m.cluster, err = filepath.Abs(text(c.cmd, "to")); err != nil {
		return m, err
	}
	m.options, err = core.ReadOptions(core.Files{State: c.options.State, MasterKey: c.options.MasterKey, Cluster: m.cluster})
	m.options.Platform = c.platform
	return m, err
}

func (c *call) move(ctx context.Context) (err error) {
	m, err := c.target()
	if err != nil {
		return err
	}
	frozen, err := database.FrozenState(c.options.State)
	if err != nil {
		return err
	}
	finish := yes(c.cmd, "finish")
	if frozen != nil && !finish {
		return refuse("%s is frozen, a move to %s was begun on %s: complete it with --finish, or take it back with --abandon",
			c.options.State, frozen.To, when(frozen.At, nil))
	}
	m.to, err = database.OpenCopy(ctx, database.Options{
		Dir: m.options.State, Postgres: m.options.Postgres, MaxOpen: m.options.OpenPractices, Now: c.Now,
	})
	switch {
	case errors.Is(err, database.ErrInUse) && frozen != nil:
		return m.print(moved{To: m.cluster, Finished: true}, func(w io.Writer) {
			fmt.Fprintln(w, "The move was complete already.")
			m.nextSteps(w)
		})
	case errors.Is(err, database.ErrInUse):
		return refuse("%s names databases that hold practices and are no copy: name new ones (%w)", m.cluster, err)
	case err != nil:
		return err
	}
	defer func() { err = errors.Join(err, m.to.Close()) }()
	if _, err := vault.Open(ctx, c.options.MasterKey, m.to.Registry(), c.Now); err != nil {
		return refuse("the databases that %s names are another installation's: %w", m.cluster, err)
	}
	done, err := m.copy(ctx, "Copying")
	if err != nil {
		return refuse("the copy is not complete, run the same command again to go on: %w", err)
	}
	if finish {
		return m.finish(ctx)
	}
	return m.print(done, func(w io.Writer) {
		fmt.Fprintf(w, "The registry and %s are copied (%d rows); %d had changed.\n", counted(done.Practices, "practice database"), done.Rows, done.Copied)
		fmt.Fprintln(w, "Nothing has changed for the gateway. Run this again as often as you like, and with --finish to move.")
	})
}

// copy copies what is not the same already.
func (m moving) copy(ctx context.Context, label string) (moved, error) {
	bar := newProgress(m.cmd, label)
	defer bar.end()
	sum := make(map[policy.PracticeID]database.Copied)
	err := m.call.DB.CopyTo(ctx, m.to, func(c database.Copied, done, total int) {
		sum[c.Practice] = c
		bar.at(int64(done), int64(total))
	})
	out := moved{To: m.cluster, Practices: max(len(sum)-1, 0)}
	for _, c := range sum {
		out.Rows += c.Rows
		if !c.Same {
			out.Copied++
		}
	}
	return out, err
}

// finish is the part during which nothing may be written. Whatever fails until the copy
// is made valid leaves everything as it was.
func (m moving) finish(ctx context.Context) (err error) {
	m.recordEverywhere(ctx, m.event(audit.System, "state_moved", m.cluster))
	if err := m.Audit.Flush(ctx); err != nil {
		return refuse("nothing was moved, the audit logs could not be closed: %w", err)
	}
	begun := m.Now()
	thaw := true
	defer func() {
		if !thaw {
			return
		}
		if terr := m.DB.Thaw(); terr != nil {
			err = errors.Join(err, refuse("%s is still frozen: run `gateway migrate --abandon`: %w", m.call.options.State, terr))
		} else {
			err = refuse("nothing was moved, the gateway goes on as before: %w", err)
		}
	}()
	if err := m.DB.Freeze(ctx, database.Frozen{At: begun, By: actor(), To: m.cluster}); err != nil {
		return err
	}
	done, err := m.copy(ctx, "Copying the rest")
	if err != nil {
		return err
	}
	if done.Logs, err = m.prove(ctx); err != nil {
		return err
	}
	thaw = false // from here on the other side may be the valid one
	if err := m.to.Complete(ctx); err != nil {
		return refuse("%s is frozen and all is copied, but it is not certain that the copy was made valid: run the same command again: %w", m.call.options.State, err)
	}
	done.Finished, done.Frozen = true, m.Now().Sub(begun).Round(time.Millisecond).String()
	return m.print(done, func(w io.Writer) {
		fmt.Fprintf(w, "The registry and %s are moved: %d rows compared, every audit log verified.\n", counted(done.Practices, "practice database"), done.Rows)
		for _, r := range bad(done.Logs) {
			fmt.Fprintf(w, "  note: the log of %s is not intact, here as there: see `gateway audit verify -p %s`\n", r.Practice, r.Practice)
		}
		m.nextSteps(w)
	})
}

func (m moving) nextSteps(w io.Writer) {
	fmt.Fprintf(w, "%s is frozen: sign-ins and changes are answered 503 until the gateway serves from PostgreSQL. Now:\n"+
		"  1. add this line to the clinicgate block of the Caddyfile:  cluster %s\n"+
		"     and write, for any other storage among the global options:  storage practice\n"+
		"  2. gateway reload, or restart the gateway\n"+
		"To stay with the folder instead: gateway migrate --abandon --to %s\n", m.call.options.State, m.cluster, m.cluster)
}

// prove verifies the logs on the other side. One that is damaged on this side as well does
// not forbid to move: no copy could be better.
func (m moving) prove(ctx context.Context) ([]verified, error) {
	there := m.options
	there.Copying = true
	reports, err := m.verifyCopy(ctx, there)
	if err != nil {
		return nil, err
	}
	var ids []policy.PracticeID
	for _, r := range bad(reports) {
		ids = append(ids, r.Practice)
	}
	if len(ids) == 0 {
		return reports, nil
	}
	here, err := m.verify(ctx, ids)
	if err != nil {
		return nil, err
	}
	if len(bad(here)) < len(ids) {
		return nil, verdict(reports)
	}
	return reports, nil
}

// abandonMove thaws the folder. With --to the copy is discarded first, so that there are
// never two that can be served from.
func (c *call) abandonMove(ctx context.Context) error {
	frozen, err := database.FrozenState(c.options.State)
	if err != nil {
		return err
	}
	if frozen == nil {
		return refuse("%s is not frozen: there is nothing to take back", c.options.State)
	}
	question := fmt.Sprintf("%s is served from again as it was on %s. What was done on PostgreSQL since is lost; no gateway may serve from there.",
		c.options.State, when(frozen.At, nil))
	if err := c.confirm(ctx, question, "abandon"); err != nil {
		return err
	}
	discarded := text(c.cmd, "to") != ""
	if discarded {
		if err := c.discard(ctx); err != nil {
			return refuse("nothing was changed, the copy could not be discarded (leave out --to if it is lost): %w", err)
		}
	}
	if err := c.DB.Thaw(); err != nil {
		return err
	}
	c.recordEverywhere(ctx, c.event(audit.System, "state_move_abandoned", frozen.To))
	return c.print(map[string]any{"state": c.options.State, "frozen": false, "discarded": discarded}, func(w io.Writer) {
		fmt.Fprintf(w, "%s is thawed. Remove the `cluster` line from the Caddyfile, and reload or restart the gateway.\n", c.options.State)
		if !discarded {
			fmt.Fprintln(w, "The copy on PostgreSQL is still valid: see to it that no gateway serves from it.")
		}
	})
}

// discard makes the other side a copy in the making again.
func (c *call) discard(ctx context.Context) (err error) {
	m, err := c.target()
	if err != nil {
		return err
	}
	to, err := core.OpenTool(ctx, m.options)
	if errors.Is(err, database.ErrUnfinished) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return to.DB.Discard(ctx)
}
