package dst

import "testing"

// TestWatchdog: a schedule hangs if it is the same in all looks of a minute. Another schedule, or none, begins the count anew.
func TestWatchdog(t *testing.T) {
	d := watchdog{workers: make([]watched, 2)}
	looks := func(n int, since int64, times int) (hangs bool) {
		for range times {
			hangs = d.look(n, since)
		}
		return hangs
	}
	most := int(HungAfter / lookEvery)
	for _, c := range []struct {
		since int64
		times int
		want  bool
	}{{5, most, false}, {6, most, false}, {0, 2 * most, false}, {6, most, false}, {6, 1, true}} {
		if got := looks(1, c.since, c.times); got != c.want {
			t.Errorf("schedule %d, %d looks: hangs %v, want %v", c.since, c.times, got, c.want)
		}
	}
	if looks(0, 6, most) {
		t.Error("the looks at another worker count")
	}
}
