package core_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"clinicgate/config"
	"clinicgate/config/examples"
	"clinicgate/gateway/core"
	"clinicgate/gateway/directory"
	"clinicgate/gateway/session"
	"clinicgate/gateway/vault"
	"clinicgate/policy"
)

// options is a new installation in a folder of the test's own.
func options(t *testing.T, platform string) core.Options {
	t.Helper()
	dir := t.TempDir()
	files := core.Files{State: filepath.Join(dir, "state"), MasterKey: filepath.Join(dir, "master.key"), Platform: filepath.Join(dir, "platform.yaml")}
	if err := vault.CreateMasterKey(files.MasterKey); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files.Platform, []byte(platform), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := core.ReadOptions(files)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// open opens an installation that nothing runs beside, and closes it with the test.
func open(t *testing.T, o core.Options) *core.Core {
	t.Helper()
	c, err := core.OpenTool(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// apply makes the practices of the examples.
func apply(t *testing.T, c *core.Core, names ...string) {
	t.Helper()
	for _, name := range names {
		text, err := examples.Files.ReadFile(name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		doc, err := config.DecodeDocument(name, text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Directory.Apply(t.Context(), doc, author, false); err != nil {
			t.Fatal(err)
		}
		if err := c.DB.Create(t.Context(), doc.Practice); err != nil {
			t.Fatal(err)
		}
	}
}

var author = directory.Author{Who: "operator", Why: "test"}

// TestOpenWithoutAMasterKeyRefuses: a new key could not read the old secrets.
func TestOpenWithoutAMasterKeyRefuses(t *testing.T) {
	o := options(t, "{}")
	if err := os.Remove(o.MasterKey); err != nil {
		t.Fatal(err)
	}
	if c, err := core.Open(t.Context(), o); err == nil {
		_ = c.Close()
		t.Fatal("opened")
	} else if !strings.Contains(err.Error(), o.MasterKey) {
		t.Errorf("the error does not name the file: %v", err)
	}
	if _, err := os.Stat(o.MasterKey); err == nil {
		t.Error("a key was made")
	}
}

// TestRunsUntilClosed: what Open started outlives the context of whoever opened it, a
// config that a reload replaces, and follows another process's changes. Close ends
// all of it.
func TestRunsUntilClosed(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	o := options(t, "{}")
	ctx, cancel := context.WithCancel(t.Context())
	c, err := core.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	tool, err := core.OpenTool(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, tool, "harbour")
	for deadline := time.Now().Add(20 * time.Second); c.Directory.ByHost("harbour.localhost") == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the practice is never served")
		}
	}
	if err := errors.Join(tool.Close(), c.Close()); err != nil {
		t.Errorf("closing: %v", err)
	}
}

// watcher is an exchange that every policy allows.
type watcher struct{ cut func() }

func (watcher) Allowed() bool { return true }
func (w watcher) Cut()        { w.cut() }

// TestSuspendedAndRemovedPracticesLoseTheirStreams (THREATS T5, Z3), and nobody else's are cut.
func TestSuspendedAndRemovedPracticesLoseTheirStreams(t *testing.T) {
	for name, end := range map[string]func(*core.Core) error{
		"suspended": func(c *core.Core) error { return c.Directory.Suspend(t.Context(), "harbour", author) },
		"removed":   func(c *core.Core) error { return c.Directory.Remove(t.Context(), "harbour", author) },
		"below the floor": func(c *core.Core) error {
			p, err := config.DecodePlatform("platform.yaml", []byte("floor: {idle: 5m}"))
			if err != nil {
				return err
			}
			return c.SetPlatform(t.Context(), p)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, options(t, "{}"))
			apply(t, c, "harbour", "acacia")
			cut := map[policy.PracticeID]bool{}
			for _, id := range []policy.PracticeID{"harbour", "acacia"} {
				c.Streams.Open(new(session.Stream), session.AnonymousStream(id), watcher{func() { cut[id] = true }})
			}
			if err := end(c); err != nil {
				t.Fatal(err)
			}
			if !cut["harbour"] {
				t.Error("the practice's stream goes on")
			}
			if cut["acacia"] && name != "below the floor" { // there all of them are below it
				t.Error("another practice's stream was cut")
			}
		})
	}
}
