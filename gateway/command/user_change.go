package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"clinicgate/gateway/account"
	"clinicgate/gateway/audit"
	"clinicgate/gateway/directory"
)

func userRoles() *cobra.Command {
	cmd := &cobra.Command{
		Use: "roles PERSON --role ROLE…", Short: "Replace a person's roles; live sessions follow within a second", Args: one("a person: their e-mail address or id"),
		RunE: on(func(ctx context.Context, c *call) error {
			p, err := c.usable()
			if err != nil {
				return err
			}
			roles := texts(c.cmd, "role")
			if err := knownRoles(p, roles); err != nil {
				return err
			}
			detail := map[string]string{"roles": strings.Join(roles, ", ")}
			return c.changePerson(ctx, audit.Person, "roles_changed", detail, func(p *directory.Practice, who account.Person) error {
				return c.Accounts.SetRoles(ctx, p.ID, who.ID, roles, c.overrides()...)
			})
		}, "practice", "role"),
	}
	cmd.Flags().StringArray("role", nil, "role at the practice (repeatable); the others are taken away")
	lastAdminFlag(cmd)
	reasonFlag(cmd)
	return cmd
}

func userPassword() *cobra.Command {
	cmd := &cobra.Command{
		Use: "password PERSON", Short: "Give a person a new password and end their sessions", Args: one("a person: their e-mail address or id"),
		Long: "Gives a person a new password, from --password-file or asked for twice. Whoever knew the old one is\n" +
			"signed out: all sessions of the person end.",
		RunE: on(func(ctx context.Context, c *call) error {
			p, err := c.practice()
			if err != nil {
				return err
			}
			if _, err := c.person(ctx, p.ID, c.args[0]); err != nil {
				return err
			}
			password, err := c.newPassword(ctx)
			if err != nil {
				return err
			}
			return c.changePerson(ctx, audit.Person, "password_changed", nil, func(p *directory.Practice, who account.Person) error {
				if err := c.Accounts.SetPassword(ctx, p.ID, who.ID, password); err != nil {
					return err
				}
				return c.signOut(ctx, p, who, "the password was changed")
			})
		}, "practice"),
	}
	passwordFlag(cmd)
	reasonFlag(cmd)
	return cmd
}

func userDisable() *cobra.Command {
	cmd := &cobra.Command{
		Use: "disable PERSON", Short: "Shut a person out; their sessions end within a second", Args: one("a person: their e-mail address or id"),
		RunE: on(func(ctx context.Context, c *call) error {
			return c.changePerson(ctx, audit.Person, "person_disabled", nil, func(p *directory.Practice, who account.Person) error {
				return c.Accounts.SetDisabled(ctx, p.ID, who.ID, true, c.overrides()...)
			})
		}, "practice"),
	}
	lastAdminFlag(cmd)
	reasonFlag(cmd)
	return cmd
}

func userEnable() *cobra.Command {
	cmd := &cobra.Command{
		Use: "enable PERSON", Short: "Let a person in again", Args: one("a person: their e-mail address or id"),
		RunE: on(func(ctx context.Context, c *call) error {
			return c.changePerson(ctx, audit.Person, "person_enabled", nil, func(p *directory.Practice, who account.Person) error {
				return c.Accounts.SetDisabled(ctx, p.ID, who.ID, false)
			})
		}, "practice"),
	}
	reasonFlag(cmd)
	return cmd
}

func userResetFactors() *cobra.Command {
	cmd := &cobra.Command{
		Use: "reset-factors PERSON", Short: "Remove the authenticator app of a person who lost their phone and end their sessions", Args: one("a person: their e-mail address or id"),
		Long: "Removes the authenticator app and the known devices and ends all sessions of the person: whoever has\n" +
			"the phone may have one. Where the policy asks for a second factor, the person must set up a new one,\n" +
			"after the password, before they reach anything.",
		RunE: on(func(ctx context.Context, c *call) error {
			return c.changePerson(ctx, audit.SecondFactor, "factors_reset", nil, func(p *directory.Practice, who account.Person) error {
				if err := c.Accounts.ResetFactors(ctx, p.ID, who.ID); err != nil {
					return err
				}
				return c.signOut(ctx, p, who, "the app was removed")
			})
		}, "practice"),
	}
	reasonFlag(cmd)
	return cmd
}

// signOut ends a person's sessions and half sign-ins after a change of what they prove
// themselves with: left alone, a stolen session could set up the next factor
// (THREATS F4, TestResetFactorsLeavesNoSessionToEnrolWith).
func (c *call) signOut(ctx context.Context, p *directory.Practice, who account.Person, done string) error {
	ended, err := c.Sessions.EndUser(ctx, p.ID, who.ID)
	if err != nil {
		return errPartly{refuse("%s, but sessions may live on: run `gateway session revoke`: %w", done, err)}
	}
	fmt.Fprintf(c.errs(), "%s ended.\n", counted(ended, "session"))
	return nil
}
