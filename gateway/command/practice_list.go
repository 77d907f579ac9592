package command

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func practiceList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Show all practices",
		RunE: on(func(_ context.Context, c *call) error {
			views := []practiceView{}
			for _, p := range c.Directory.All() {
				views = append(views, viewOf(p))
			}
			return c.print(map[string]any{"practices": views}, func(w io.Writer) { printPractices(w, views) })
		}),
	}
}

func printPractices(w io.Writer, views []practiceView) {
	if len(views) == 0 {
		fmt.Fprintln(w, "There are no practices yet: `gateway practice apply -f FILE` makes one.")
		return
	}
	rows := make([][]string, len(views))
	for i, v := range views {
		state := v.State
		if v.Problem != "" {
			state += ": " + v.Problem
		}
		rows[i] = []string{v.Practice, v.Name, strings.Join(v.Hosts, ", "), strconv.FormatInt(v.Version, 10), state}
	}
	table(w, []string{"PRACTICE", "NAME", "HOSTS", "VERSION", "STATE"}, rows)
}
