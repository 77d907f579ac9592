package audit_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// alarms collects what an operator is told.
type alarms struct {
	mu   sync.Mutex
	list []string
}

func (a *alarms) add(message string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, message+" "+fmt.Sprint(args...))
}

func (a *alarms) told() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.list...)
}

// watched is a bench with somebody who listens to alarms.
func watched(t *testing.T) (*bench, *alarms) {
	b := newBench(t)
	b.close()
	heard := new(alarms)
	b.opts.Alarm = heard.add
	b.open()
	return b, heard
}

// TestRegistryThatCannotBeWrittenIsAnAlarm: records go on being written, and somebody
// is told that their heads have no witness; once a minute, not with every try.
func TestRegistryThatCannotBeWrittenIsAnAlarm(t *testing.T) {
	b, heard := watched(t)
	b.edit(b.registry(), `CREATE TRIGGER full BEFORE INSERT ON audit_head BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
	b.add(3)
	until(t, func() bool { return b.log.Stats().Uncopied >= 3 })
	if list := heard.told(); len(list) != 1 || !strings.Contains(list[0], "registry") {
		t.Errorf("told: %q, want it once", list)
	}
	b.clock.add(time.Minute)
	until(t, func() bool { return len(heard.told()) == 2 })
	b.edit(b.registry(), `DROP TRIGGER full`)
	b.flush()
	if r := b.verify(); !r.Intact || r.Rows != 3 || len(r.Warnings) > 0 {
		t.Errorf("with room again: %v %v", r, r.Warnings)
	}
}

// TestDamageIsAnAlarm: found while writing, once.
func TestDamageIsAnAlarm(t *testing.T) {
	b, heard := watched(t)
	b.add(3)
	b.tamper(b.file(harbour), `DELETE FROM audit_head`)
	b.add(2)
	want := []string{"an audit log is damaged: run gateway audit verify practiceharbourreasonhead_missing"}
	if diff := cmp.Diff(want, heard.told()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
