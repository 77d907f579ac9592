package database_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"clinicgate/gateway/database"
	"github.com/google/go-cmp/cmp"
)

func TestBackupOfARunningGatewayCanBeRestored(t *testing.T) {
	s := openFiles(t, database.Options{})
	for _, id := range []string{"harbour", "banksia"} {
		if err := put2(t, s, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(t, s.Registry(), 1, "registry"); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "backup")
	var seen []int
	// A writer in the middle of a transaction neither stops the backup nor gets into it.
	err := s.Practice("harbour").Write(t.Context(), func(tx *database.Tx) error {
		if _, err := tx.Exec(t.Context(), insertNote, 2, "not yet"); err != nil {
			return err
		}
		return s.Backup(t.Context(), dir, func(done, total int) { seen = append(seen, done, total) })
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1, 3, 2, 3, 3, 3}, seen); diff != "" {
		t.Error(diff)
	}
	restored := openFiles(t, database.Options{Dir: dir})
	for name, db := range map[string]store{
		"registry": restored.Registry(), "harbour": restored.Practice("harbour"), "banksia": restored.Practice("banksia"),
	} {
		if got := count(t, db); got != 1 {
			t.Errorf("%s: got %d rows, want 1", name, got)
		}
		if err := put(t, db, 3, "after"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBackupOverwritesNothingAndNamesASwappedFile(t *testing.T) {
	s := openFiles(t, database.Options{})
	for _, id := range []string{"harbour", "banksia"} {
		if err := s.Create(t.Context(), policyID(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Backup(t.Context(), t.TempDir(), nil); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("into a folder that is there: got %v, want a refusal", err)
	}
	practices := filepath.Join(s.Dir(), "practices")
	replace(t, filepath.Join(practices, "harbour.db"), filepath.Join(practices, "banksia.db"))
	if err := s.Backup(t.Context(), filepath.Join(t.TempDir(), "b"), nil); !errors.Is(err, database.ErrSwapped) {
		t.Errorf("got %v, want ErrSwapped", err)
	}
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Backup(late, filepath.Join(t.TempDir(), "c"), nil); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("cancelled: got %v, want ErrUnavailable", err)
	}
}
