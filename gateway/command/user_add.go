package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/spf13/cobra"

	"clinicgate/gateway/account"
	"clinicgate/gateway/audit"
	"clinicgate/gateway/directory"
)

func userAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "add --email ADDRESS --name NAME --role ROLE…", Short: "Add a person",
		Long: "Adds a person to a practice. The password comes from --password-file or is asked for twice.\n" +
			"With --totp an authenticator app is set up as well: its secret is shown once, here.",
		RunE: on(addUser, "practice", "email", "name", "role"),
	}
	cmd.Flags().String("email", "", "e-mail address, which they sign in with")
	cmd.Flags().String("name", "", "name that colleagues see")
	cmd.Flags().StringArray("role", nil, "role at the practice (repeatable)")
	cmd.Flags().Bool("totp", false, "set up an authenticator app and show its secret")
	passwordFlag(cmd)
	return cmd
}

// addedView is a new person for programs. It is the only place where the authenticator's
// secret is ever shown.
type addedView struct {
	personView
	TOTPSecret string `json:"totp_secret,omitempty"`
	TOTPURI    string `json:"totp_uri,omitempty"`
}

func addUser(ctx context.Context, c *call) error {
	p, err := c.usable()
	if err != nil {
		return err
	}
	person, err := c.newPerson(ctx, p)
	if err != nil {
		return err
	}
	e := c.event(audit.Person, "person_added", person.Email)
	e.Detail["roles"] = strings.Join(person.Roles, ", ")
	var who account.Person
	err = c.recorded(ctx, p.ID, e, func() error {
		who, err = c.Accounts.Add(ctx, p.ID, person)
		return err
	})
	if err != nil {
		return err
	}
	v := addedView{personView: viewPerson(p, who)}
	if yes(c.cmd, "totp") {
		if err := c.enrol(ctx, p, who, &v); err != nil {
			return refuse("%s was added, but without an authenticator app: %w", who.Email, err)
		}
	}
	return c.print(v, func(w io.Writer) { v.print(w, p) })
}

// newPerson reads who is to be added. What would be refused is refused here, before
// anything is recorded and before a password is asked for.
func (c *call) newPerson(ctx context.Context, p *directory.Practice) (account.NewPerson, error) {
	person := account.NewPerson{Name: text(c.cmd, "name"), Roles: texts(c.cmd, "role")}
	var err error
	if person.Email, err = account.CanonicalEmail(text(c.cmd, "email")); err != nil {
		return person, err
	}
	if err := knownRoles(p, person.Roles); err != nil {
		return person, err
	}
	switch _, err := c.Accounts.ByEmail(ctx, p.ID, person.Email); {
	case err == nil:
		return person, account.ErrExists
	case !errors.Is(err, account.ErrUnknown):
		return person, err
	}
	person.Password, err = c.newPassword(ctx)
	return person, err
}

// enrol sets up an authenticator app and confirms it with a code of its own. The code is
// that of the step before, so that the present one is still good for the first sign-in.
func (c *call) enrol(ctx context.Context, p *directory.Practice, who account.Person, v *addedView) error {
	return c.recorded(ctx, p.ID, c.event(audit.SecondFactor, "enrolled", who.ID), func() error {
		enrolment, err := c.Accounts.BeginTOTP(ctx, p.ID, who.ID, p.Policy.Name(), "")
		if err != nil {
			return err
		}
		secret := enrolment.Secret.Reveal()
		code, err := totp.GenerateCode(secret, c.Now().Add(-30*time.Second))
		if err != nil {
			return errors.New("making a code for the authenticator app failed") // the cause could quote the secret
		}
		if err := c.Accounts.ConfirmTOTP(ctx, p.ID, who.ID, code); err != nil {
			return err
		}
		v.HasTOTP, v.TOTPSecret, v.TOTPURI = true, secret, enrolment.URI.Reveal()
		return nil
	})
}

func (v addedView) print(w io.Writer, p *directory.Practice) {
	v.personView.print(w, p)
	if v.TOTPSecret != "" {
		fmt.Fprintf(w, "\nAuthenticator app, shown this once: give it to its owner and to nobody else.\n  key  %s\n  uri  %s\n",
			v.TOTPSecret, v.TOTPURI)
	}
}
