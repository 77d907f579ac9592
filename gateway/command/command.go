// Package command is the gateway's command line besides Caddy's own: one file per
// subcommand. A command exits with 0 when it is done, with 1 and one sentence on
// standard error when it refuses or fails, and with 2 when it was called wrongly.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"clinicgate/policy"
)

// Exit codes of every subcommand.
const (
	exitRefused = 1 // decided no, or failed
	exitUsage   = 2 // called wrongly
)

// register adds a command to the program. setup gets its cobra command.
func register(name, short string, setup func(*cobra.Command)) {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name: name, Short: short,
		CobraFunc: func(cmd *cobra.Command) {
			setup(cmd)
			polish(cmd)
			cmd.SetHelpTemplate(help)
		},
	})
}

// help is cobra's own page: Caddy's adds where Caddy is documented, which these commands
// are not.
const help = `{{with or .Long .Short}}{{. | trimTrailingWhitespaces}}

{{end}}{{.UsageString}}`

// group makes cmd a command that only has subcommands: without one of them, or with an
// unknown one, it was called wrongly.
func group(cmd *cobra.Command, subs ...*cobra.Command) {
	cmd.Use = strings.TrimSpace(cmd.Name() + " SUBCOMMAND")
	cmd.AddCommand(subs...)
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return finish(cmd, unknownSubcommand(cmd, args))
	}
}

func unknownSubcommand(cmd *cobra.Command, args []string) error {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			names = append(names, sub.Name())
		}
	}
	all := strings.Join(names, ", ")
	if len(args) == 0 {
		return usage("%s needs a subcommand: %s", cmd.CommandPath(), all)
	}
	return usage("%s has no subcommand %.40q%s: it has %s", cmd.CommandPath(), args[0], meant(args[0], names), all)
}

// meant suggests the word that was probably meant.
func meant(word string, known []string) string {
	if near := policy.Nearest(word, known); near != "" {
		return fmt.Sprintf(" (did you mean %s?)", near)
	}
	return ""
}

// polish makes every way of calling a command wrongly exit with 2, and keeps cobra from
// printing errors itself.
func polish(cmd *cobra.Command) {
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.DisableFlagsInUseLine = true
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if errors.Is(err, pflag.ErrHelp) {
			return err
		}
		said, _, _ := strings.Cut(err.Error(), ": strconv.") // which says it once more, in Go's words
		return finish(cmd, usage("%s", said))
	})
	check := cmd.Args
	if check == nil {
		check = atMost(0)
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return finish(cmd, errUsage{err})
		}
		return nil
	}
	for _, sub := range cmd.Commands() {
		polish(sub)
	}
}

// one is for a command that is about one thing, such as "the id of a practice".
func one(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return fmt.Errorf("%s needs %s", cmd.CommandPath(), what)
		case 1:
			return nil
		}
		return fmt.Errorf("%s takes %s and nothing else: %.40q is too much", cmd.CommandPath(), what, args[1])
	}
}

// atMost is for a command that takes up to n arguments.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return fmt.Errorf("%s does not take %.40q", cmd.CommandPath(), args[n])
		}
		return nil
	}
}

// exit ends the process.
var exit = os.Exit

// finish turns what a command returned into its exit code. Everything that the command
// opened is closed by now.
func finish(cmd *cobra.Command, err error) error {
	var wrong errUsage
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		complain(cmd.ErrOrStderr(), wrong.error)
		fmt.Fprintf(cmd.ErrOrStderr(), "See: %s --help\n", cmd.CommandPath())
		exit(exitUsage)
	default:
		complain(cmd.ErrOrStderr(), err)
		exit(exitRefused)
	}
	return err
}

// complain writes err as one sentence; further lines of it are indented below. It may
// quote a file's name or text, which must not command the terminal (THREATS A3).
func complain(w io.Writer, err error) {
	var b strings.Builder
	for _, r := range strings.TrimSpace(err.Error()) {
		switch {
		case r == '\n':
			b.WriteString("\n  ")
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	fmt.Fprintf(w, "gateway: %s\n", b.String())
}

// errUsage marks an error as wrong usage.
type errUsage struct{ error }

// usage makes an error that exits with 2.
func usage(format string, args ...any) error { return errUsage{fmt.Errorf(format, args...)} }

// refuse makes an error that exits with 1.
func refuse(format string, args ...any) error { return fmt.Errorf(format, args...) }

// errInterrupted is what a command ends with that was stopped by Ctrl-C.
var errInterrupted = errors.New("interrupted")

// plain runs fn, which needs no open installation, and ends it cleanly on Ctrl-C.
func plain(fn func(ctx context.Context, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		err := fn(ctx, cmd, args)
		if err != nil && ctx.Err() != nil {
			err = errInterrupted
		}
		stop()
		return finish(cmd, err)
	}
}

// need refuses a call that leaves out one of these flags.
func need(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		f := cmd.Flag(name)
		switch {
		case f == nil || !f.Changed:
			return usage("%s needs --%s: %s", cmd.CommandPath(), name, f.Usage)
		case f.Value.String() == "":
			return usage("--%s is empty: %s", name, f.Usage)
		}
	}
	return nil
}

// text, yes, texts and number read a flag that the command has declared.
func text(cmd *cobra.Command, name string) string { return cmd.Flag(name).Value.String() }

func yes(cmd *cobra.Command, name string) bool { return text(cmd, name) == "true" }

func texts(cmd *cobra.Command, name string) []string {
	list, _ := cmd.Flags().GetStringArray(name)
	return list
}

func number(cmd *cobra.Command, name string) int {
	n, _ := cmd.Flags().GetInt(name)
	return n
}
