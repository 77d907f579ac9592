package app

import "testing"

func TestPaceGivesASmallHeapRoomAndALargeOneGosDefault(t *testing.T) {
	for _, row := range []struct {
		live uint64
		want int
	}{
		{0, 400}, {20 << 20, 400}, {64 << 20, 400}, {128 << 20, 200}, {256 << 20, 100}, {4 << 30, 100},
	} {
		if got := pace(row.live); got != row.want {
			t.Errorf("pace(%d MiB) = %d, want %d", row.live>>20, got, row.want)
		}
	}
}
