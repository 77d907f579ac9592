package database_test

import (
	"testing"

	"clinicgate/gateway/database"
)

func TestEmbeddedMigrationsApply(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the second time they are there already
		s, err := database.Open(t.Context(), database.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Create(t.Context(), "harbour"); err != nil {
			t.Error(err)
		}
		if err := s.Migrate(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
