package command

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"clinicgate/gateway/vault"
)

// maxPasswordFile is larger than any password that is accepted, in bytes.
const maxPasswordFile = 4 << 10

// passwordFlag adds the way to give a password without a person. There is no flag for
// the password itself: flags are seen by everybody on the machine and kept in histories.
func passwordFlag(cmd *cobra.Command) {
	cmd.Flags().String("password-file", "", "file with the password, - for standard input (default: ask twice)")
}

// newPassword reads a new password: from the file of --password-file or, on a terminal,
// by asking twice without echo.
func (c *call) newPassword(ctx context.Context) (vault.Secret, error) {
	switch file := text(c.cmd, "password-file"); file {
	case "":
	case "-":
		return passwordFrom(c.cmd.InOrStdin(), "standard input")
	default:
		f, err := os.Open(file)
		if err != nil {
			return vault.Secret{}, refuse("opening the password file: %w", err)
		}
		defer f.Close()
		return passwordFrom(f, file)
	}
	tty, ok := c.cmd.InOrStdin().(*os.File)
	if !ok || !isTerminal(tty) {
		return vault.Secret{}, usage("there is no terminal to ask for the password: give --password-file FILE, or - for standard input")
	}
	first, err := askHidden(ctx, tty, c.errs(), "New password: ")
	if err != nil {
		return vault.Secret{}, err
	}
	second, err := askHidden(ctx, tty, c.errs(), "The same again: ")
	if err != nil {
		return vault.Secret{}, err
	}
	if first != second {
		return vault.Secret{}, refuse("the two passwords differ: nothing was changed")
	}
	return secretOf(first, "the password")
}

// passwordFrom reads a password that stands alone on one line. The errors never quote it.
func passwordFrom(r io.Reader, name string) (vault.Secret, error) {
	data, err := readAll(r, name, maxPasswordFile)
	if err != nil {
		return vault.Secret{}, refuse("reading the password: %w", err)
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if strings.ContainsAny(line, "\r\n") {
		return vault.Secret{}, refuse("%s holds more than one line: it must hold the password and nothing else", name)
	}
	return secretOf(line, name)
}

func secretOf(s, name string) (vault.Secret, error) {
	if s == "" {
		return vault.Secret{}, refuse("%s is empty", name)
	}
	return vault.NewSecret(s), nil
}

// askHidden asks a question on a terminal and reads the answer without echo. When ctx
// ends first, the terminal is put back as it was.
func askHidden(ctx context.Context, tty *os.File, errs io.Writer, question string) (string, error) {
	before, err := term.GetState(int(tty.Fd()))
	if err != nil {
		return "", refuse("asking for a password: %w", err)
	}
	fmt.Fprint(errs, question)
	answer := make(chan []byte, 1)
	failed := make(chan error, 1)
	go func() { // ends with the process at the latest: a read of a terminal cannot be called off
		line, err := term.ReadPassword(int(tty.Fd()))
		if err != nil {
			failed <- err
			return
		}
		answer <- line
	}()
	defer fmt.Fprintln(errs)
	select {
	case line := <-answer:
		return string(line), nil
	case err := <-failed:
		return "", refuse("reading the password: %w", err)
	case <-ctx.Done():
		_ = term.Restore(int(tty.Fd()), before)
		return "", errInterrupted
	}
}

// confirm has a person type a word before something that is hard to undo. --yes says it
// beforehand, for scripts.
func (c *call) confirm(ctx context.Context, question, word string) error {
	if yes(c.cmd, "yes") {
		return nil
	}
	tty, ok := c.cmd.InOrStdin().(*os.File)
	if !ok || !isTerminal(tty) {
		return usage("there is no terminal to ask on: give --yes if you are sure")
	}
	fmt.Fprintf(c.errs(), "%s\nType %s to go on: ", question, word)
	answer := make(chan string, 1)
	go func() { // as in askHidden
		line, _ := bufio.NewReader(io.LimitReader(tty, 1<<10)).ReadBytes('\n')
		answer <- string(bytes.TrimSpace(line))
	}()
	select {
	case line := <-answer:
		if line != word {
			return refuse("that was not %s: nothing was changed", word)
		}
		return nil
	case <-ctx.Done():
		fmt.Fprintln(c.errs())
		return errInterrupted
	}
}
