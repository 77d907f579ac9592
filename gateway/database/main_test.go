package database_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain also serves as the other process of the tests that need one.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		childMain(dir)
		return
	}
	goleak.VerifyTestMain(m)
}
