package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func userList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Show the people of a practice",
		RunE: on(func(ctx context.Context, c *call) error {
			p, err := c.practice()
			if err != nil {
				return err
			}
			people, err := c.Accounts.List(ctx, p.ID)
			if err != nil {
				return err
			}
			views := make([]personView, len(people))
			for i, who := range people {
				views[i] = viewPerson(p, who)
			}
			return c.print(map[string]any{"practice": p.ID, "users": views}, func(w io.Writer) { printPeople(w, views) })
		}, "practice"),
	}
}

func printPeople(w io.Writer, views []personView) {
	if len(views) == 0 {
		fmt.Fprintln(w, "There is nobody yet: `gateway user add` adds somebody.")
		return
	}
	rows := make([][]string, len(views))
	for i, v := range views {
		rows[i] = []string{v.Email, v.Name, strings.Join(v.Roles, ", "), v.factors(), v.state()}
	}
	table(w, []string{"E-MAIL", "NAME", "ROLES", "SIGNS IN WITH", "STATE"}, rows)
}

func userShow() *cobra.Command {
	return &cobra.Command{
		Use: "show PERSON", Short: "Show one person", Args: one("a person: their e-mail address or id"),
		RunE: on(func(ctx context.Context, c *call) error {
			p, err := c.practice()
			if err != nil {
				return err
			}
			who, err := c.person(ctx, p.ID, c.args[0])
			if err != nil {
				return err
			}
			return c.showPerson(ctx, p, who.ID)
		}, "practice"),
	}
}
