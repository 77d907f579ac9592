package audit_test

import (
	"path/filepath"
	"sync"
	"testing"

	"clinicgate/gateway/database"
)

// TestBackupDuringSignInsVerifies: people sign in while the copy is made, and heads go to
// the registry as fast as they can. The copy's logs are whole, and go on.
func TestBackupDuringSignInsVerifies(t *testing.T) {
	b := newBench(t)
	b.add(3)
	b.flush()
	dir := filepath.Join(t.TempDir(), "backup")
	stop := make(chan struct{})
	var busy sync.WaitGroup
	write := func() {
		for range 5 {
			if err := b.log.Append(t.Context(), harbour, event("during")); err != nil {
				t.Error(err)
			}
		}
		if err := b.log.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	}
	busy.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				write()
			}
		}
	})
	// More records and heads between the copies of one database and of the next.
	err := b.set.Backup(t.Context(), dir, func(int, int) { write() })
	close(stop)
	busy.Wait()
	if err != nil {
		t.Fatal(err)
	}
	b.wantIntact(int64(len(b.tail(10_000))))

	live := b.dir
	b.close()
	b.dir = dir
	b.open()
	if r := b.verify(); !r.Intact || r.Rows < 3 {
		t.Errorf("the copy: %v %+v", r, r.Findings)
	}
	b.add(1)
	b.flush()
	if r := b.verify(); !r.Intact || b.log.Stats().Damaged > 0 || len(r.Warnings) > 0 {
		t.Errorf("the copy after more records: %v %+v %v", r, r.Findings, r.Warnings)
	}
	// An older practice's file under the copy's registry is still found out.
	older := b.file(harbour)
	b.close()
	set, err := database.Open(t.Context(), database.Options{Dir: live})
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Close(); err != nil { // folds the log into the file
		t.Fatal(err)
	}
	b.dir = live
	b.copyFile(older, b.file(harbour))
	b.open()
	if r := b.verify(); r.Intact {
		t.Error("the copy of one practice alone, put back, passes for the newest")
	}
}
