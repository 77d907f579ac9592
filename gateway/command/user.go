package command

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"clinicgate/gateway/account"
	"clinicgate/gateway/audit"
	"clinicgate/gateway/directory"
)

func init() {
	register("user", "People of a practice: add, disable, roles, password, factors", func(cmd *cobra.Command) {
		cmd.Long = "People of a practice. They are named by their e-mail address or their id.\n" +
			"Passwords come from a file, from standard input, or from a question without echo; never from a flag."
		stateFlags(cmd)
		practiceFlag(cmd)
		group(cmd, userAdd(), userList(), userShow(), userRoles(), userPassword(), userDisable(), userEnable(), userResetFactors())
	})
}

// personView is a person for programs.
type personView struct {
	ID          string     `json:"id"`
	Practice    string     `json:"practice"`
	Email       string     `json:"email"`
	Name        string     `json:"name"`
	Roles       []string   `json:"roles"`
	Disabled    bool       `json:"disabled"`
	HasPassword bool       `json:"has_password"`
	HasTOTP     bool       `json:"has_totp"`
	GraceUntil  *time.Time `json:"grace_until,omitempty"`
	Created     time.Time  `json:"created"`
}

func viewPerson(p *directory.Practice, who account.Person) personView {
	return personView{
		ID: who.ID, Practice: string(p.ID), Email: who.Email, Name: who.Name, Roles: list(who.Roles), Disabled: who.Disabled,
		HasPassword: who.HasPassword, HasTOTP: who.HasTOTP, GraceUntil: stamp(who.GraceUntil), Created: who.CreatedAt.UTC(),
	}
}

func (v personView) state() string {
	if v.Disabled {
		return "disabled"
	}
	return "active"
}

func (v personView) factors() string {
	var kinds []string
	if v.HasPassword {
		kinds = append(kinds, "password")
	}
	if v.HasTOTP {
		kinds = append(kinds, "authenticator app")
	}
	return strings.Join(kinds, ", ")
}

func (v personView) print(w io.Writer, p *directory.Practice) {
	facts(w, "Person", v.Email, "Name", v.Name, "Id", v.ID, "Practice", v.Practice, "Roles", strings.Join(v.Roles, ", "),
		"State", v.state(), "Signs in with", v.factors(), "Since", when(v.Created, p))
}

// knownRoles refuses roles that the practice's policy does not have.
func knownRoles(p *directory.Practice, roles []string) error {
	known := p.Policy.Roles()
	for _, role := range roles {
		if !slices.Contains(known, role) {
			return refuse("%s has no role %.60q%s: its policy has %s", p.ID, role, meant(role, known), strings.Join(known, ", "))
		}
	}
	return nil
}

// changePerson finds the person that the argument names, records what is done to them,
// does it, and shows them as they are now.
func (c *call) changePerson(ctx context.Context, class audit.Class, action string,
	detail map[string]string, change func(p *directory.Practice, who account.Person) error,
) error {
	p, err := c.practice()
	if err != nil {
		return err
	}
	who, err := c.person(ctx, p.ID, c.args[0])
	if err != nil {
		return err
	}
	e := c.event(class, action, who.ID)
	for key, value := range detail {
		e.Detail[key] = value
	}
	if err := c.recorded(ctx, p.ID, e, func() error { return change(p, who) }); err != nil {
		return err
	}
	return c.showPerson(ctx, p, who.ID)
}

func (c *call) showPerson(ctx context.Context, p *directory.Practice, id string) error {
	who, err := c.Accounts.ByID(ctx, p.ID, id)
	if err != nil {
		return err
	}
	v := viewPerson(p, who)
	return c.print(v, func(w io.Writer) { v.print(w, p) })
}

// lastAdminFlag adds the deliberate exception to the rule that a practice keeps an admin.
func lastAdminFlag(cmd *cobra.Command) {
	cmd.Flags().Bool("even-last-admin", false, "even if nobody is left who can administer the practice")
}

func (c *call) overrides() []account.Override {
	if yes(c.cmd, "even-last-admin") {
		return []account.Override{account.EvenLastAdmin}
	}
	return nil
}
