package command_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a program on a terminal of its own.
type terminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	mu     sync.Mutex
	seen   bytes.Buffer
	grew   chan struct{}
}

// onTerminal starts a command whose three streams are a terminal.
func onTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	tt := &terminal{t: t, master: master, grew: make(chan struct{}, 1)}
	tt.cmd = exec.Command(os.Args[0], args...)
	tt.cmd.Env = append(os.Environ(), asProgram+"=1", "TERM=xterm")
	tt.cmd.Stdin, tt.cmd.Stdout, tt.cmd.Stderr = slave, slave, slave
	tt.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := tt.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go tt.watch()
	t.Cleanup(func() { _ = tt.cmd.Process.Kill(); _ = master.Close() })
	return tt
}

func (tt *terminal) watch() {
	buf := make([]byte, 4096)
	for {
		n, err := tt.master.Read(buf)
		tt.mu.Lock()
		tt.seen.Write(buf[:n])
		tt.mu.Unlock()
		select {
		case tt.grew <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (tt *terminal) text() string {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	return tt.seen.String()
}

// await waits until the terminal shows a text.
func (tt *terminal) await(text string) {
	tt.t.Helper()
	deadline := time.After(30 * time.Second)
	for !strings.Contains(tt.text(), text) {
		select {
		case <-tt.grew:
		case <-deadline:
			tt.t.Fatalf("the terminal does not show %q:\n%s", text, tt.text())
		}
	}
}

// hidden waits until the terminal does not echo, as it must while a password is typed.
func (tt *terminal) hidden() {
	tt.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		mode, err := unix.IoctlGetTermios(int(tt.master.Fd()), unix.TCGETS)
		if err == nil && mode.Lflag&unix.ECHO == 0 {
			return
		}
	}
	tt.t.Fatal("the terminal echoes while a password is asked for")
}

func (tt *terminal) enter(line string) {
	tt.t.Helper()
	if _, err := tt.master.WriteString(line + "\n"); err != nil {
		tt.t.Fatal(err)
	}
}

// end waits for the exit code.
func (tt *terminal) end() int {
	tt.t.Helper()
	_ = tt.cmd.Wait()
	return tt.cmd.ProcessState.ExitCode()
}

func TestPasswordIsAskedForTwiceWithoutEcho(t *testing.T) {
	state := newState(t)
	const password = "canary copper meadow 52 spindle"
	for name, c := range map[string]struct {
		second string
		code   int
		want   string
	}{
		"the same": {password, 0, "Since"},
		"another":  {password + "x", 1, "the two passwords differ"},
	} {
		t.Run(name, func(t *testing.T) {
			tt := onTerminal(t, "user", "password", "clinician@harbour.test", "--state", state, "-p", "harbour")
			tt.await("New password: ")
			tt.hidden()
			tt.enter(password)
			tt.await("The same again: ")
			tt.hidden()
			tt.enter(c.second)
			if code := tt.end(); code != c.code {
				t.Errorf("exit %d, want %d\n%s", code, c.code, tt.text())
			}
			tt.await(c.want)
			if strings.Contains(tt.text(), "canary") {
				t.Errorf("the terminal shows the password:\n%s", tt.text())
			}
		})
	}
}

// Ctrl-C at the question must not leave a terminal that echoes nothing.
func TestInterruptedQuestionPutsTheTerminalBack(t *testing.T) {
	state := newState(t)
	tt := onTerminal(t, "user", "password", "clinician@harbour.test", "--state", state, "-p", "harbour")
	tt.await("New password: ")
	tt.hidden()
	if err := tt.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := tt.end(); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	tt.await("gateway: interrupted")
	mode, err := unix.IoctlGetTermios(int(tt.master.Fd()), unix.TCGETS)
	if err != nil || mode.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal is left without echo (%v)", err)
	}
}

func TestRemovalIsConfirmedByTypingTheId(t *testing.T) {
	state := newState(t)
	for _, c := range []struct {
		typed string
		code  int
		want  string
	}{{"y", 1, "that was not harbour: nothing was changed"}, {"harbour", 0, "harbour is removed."}} {
		tt := onTerminal(t, "practice", "remove", "harbour", "--state", state)
		tt.await("Type harbour to go on: ")
		tt.enter(c.typed)
		if code := tt.end(); code != c.code {
			t.Errorf("typed %q: exit %d, want %d", c.typed, code, c.code)
		}
		tt.await(c.want)
	}
}

func TestTableIsRuledOnATerminalAndPlainWithoutColour(t *testing.T) {
	state := newState(t)
	tt := onTerminal(t, "practice", "list", "--state", state)
	if tt.end(); !strings.Contains(tt.text(), "╭") {
		tt.await("╭")
	}
	t.Setenv("NO_COLOR", "1")
	tt = onTerminal(t, "practice", "list", "--state", state)
	tt.end()
	tt.await("acacia.localhost")
	if strings.ContainsAny(tt.text(), "╭\x1b") {
		t.Errorf("with NO_COLOR: %q", tt.text())
	}
}
