package app

import "testing"

func TestPaceGivesTheHeapRoomThatTheMachineHas(t *testing.T) {
	const mega, giga = 1 << 20, 1 << 30
	for _, row := range []struct {
		live, limit uint64
		want        int
	}{
		{0, 0, 400}, {20 * mega, 0, 400}, {64 * mega, 0, 400}, {128 * mega, 0, 200}, {256 * mega, 0, 100}, {4 * giga, 0, 100},
		{20 * mega, giga, 400}, {128 * mega, giga, 200}, {256 * mega, giga, 100}, // a small machine: as without a limit
		{128 * mega, 8 * giga, 400}, {512 * mega, 8 * giga, 200}, {giga, 8 * giga, 100}, {giga, 16 * giga, 200}, {4 * giga, 16 * giga, 100},
	} {
		if got := pace(row.live, row.limit); got != row.want {
			t.Errorf("pace(%d MiB of %d MiB) = %d, want %d", row.live/mega, row.limit/mega, got, row.want)
		}
	}
}
