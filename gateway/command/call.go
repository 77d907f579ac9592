package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"clinicgate/gateway/account"
	"clinicgate/gateway/core"
	"clinicgate/gateway/directory"
	"clinicgate/policy"
)

// call is one use of a command on an open installation.
type call struct {
	*core.Core
	platform policy.Platform
	options  core.Options // with which it was opened
	cmd      *cobra.Command
	args     []string
}

func (c *call) out() io.Writer  { return c.cmd.OutOrStdout() }
func (c *call) errs() io.Writer { return c.cmd.ErrOrStderr() }

// on runs fn on the installation that the flags name. required flags are checked before
// anything is opened.
func on(fn func(ctx context.Context, c *call) error, required ...string) func(*cobra.Command, []string) error {
	return plain(func(ctx context.Context, cmd *cobra.Command, args []string) (err error) {
		if err := need(cmd, required...); err != nil {
			return err
		}
		options, err := stateOptions(cmd)
		if err != nil {
			return err
		}
		return with(ctx, options, cmd, args, fn)
	})
}

// with runs fn on an installation.
func with(ctx context.Context, options core.Options, cmd *cobra.Command, args []string, fn func(ctx context.Context, c *call) error) (err error) {
	if err := checkState(options); err != nil {
		return err
	}
	opened, err := core.OpenTool(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	return fn(ctx, &call{Core: opened, platform: options.Platform, options: options, cmd: cmd, args: args})
}

// practiceFlag adds --practice to a group whose commands are about one practice.
func practiceFlag(cmd *cobra.Command) {
	cmd.PersistentFlags().StringP("practice", "p", "", "id of the practice")
}

// reasonFlag adds --reason to a command that people will ask about later.
func reasonFlag(cmd *cobra.Command) {
	cmd.Flags().String("reason", "", "why, for the audit log")
}

// practice is the practice that --practice names.
func (c *call) practice() (*directory.Practice, error) { return c.named(text(c.cmd, "practice")) }

// named finds a practice by its id.
func (c *call) named(name string) (*directory.Practice, error) {
	id, err := policy.ParsePracticeID(name)
	if err != nil {
		return nil, usage("%.60q is no practice id: %w", name, err)
	}
	if p := c.Directory.ByID(id); p != nil {
		return p, nil
	}
	var known []string
	for _, p := range c.Directory.All() {
		known = append(known, string(p.ID))
	}
	return nil, refuse("there is no practice %s%s", id, meant(string(id), known))
}

// usable is the practice that --practice names, when its policy can be asked.
func (c *call) usable() (*directory.Practice, error) {
	p, err := c.practice()
	if err == nil && p.Policy == nil {
		return nil, refuse("the policy of %s cannot be used (%s): put it right with `gateway practice apply`", p.ID, p.Broken)
	}
	return p, err
}

// person finds somebody of a practice by e-mail address or id.
func (c *call) person(ctx context.Context, id policy.PracticeID, who string) (account.Person, error) {
	p, err := c.Accounts.ByID(ctx, id, who)
	if errors.Is(err, account.ErrUnknown) {
		p, err = c.Accounts.ByEmail(ctx, id, who)
	}
	var field *account.FieldError
	if errors.Is(err, account.ErrUnknown) || errors.As(err, &field) {
		return p, refuse("%s has nobody with the e-mail address or id %s: `gateway user list` shows who there is", id, show(who))
	}
	if err != nil {
		return p, fmt.Errorf("looking for %s: %w", show(who), err)
	}
	return p, nil
}
