package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClockMeasuresElapsedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New()
		start := time.Now()
		time.Sleep(90 * time.Second)
		mono, wall := c.Now()
		if mono != 90*time.Second || c.Mono() != mono {
			t.Errorf("mono = %v and %v, want 90s", mono, c.Mono())
		}
		if want := start.Round(0).Add(90 * time.Second); !wall.Equal(want) {
			t.Errorf("wall = %v, want %v", wall, want)
		}
	})
}

func TestWallHasNoMonotonicPart(t *testing.T) {
	_, wall := New().Now()
	if wall != wall.Round(0) {
		t.Errorf("wall %v carries a monotonic reading", wall)
	}
}

func TestWallThatIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var by time.Duration
		c := New().WithWall(func(wall time.Time) time.Time { return wall.Add(by) })
		time.Sleep(time.Minute)
		by = -time.Hour
		mono, wall := c.Now()
		if want := time.Now().Round(0).Add(-time.Hour); mono != time.Minute || !wall.Equal(want) {
			t.Errorf("%v and %v, want 1m and %v", mono, wall, want)
		}
	})
}

func TestAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New()
		time.Sleep(time.Minute)
		for _, tc := range []struct {
			name string
			at   time.Time
			want time.Duration
		}{
			{"ahead", time.Now().Add(time.Hour), time.Hour + time.Minute},
			{"now", time.Now(), time.Minute},
			{"before the clock began", time.Now().Add(-time.Hour), 1},
			{"without a monotonic part", time.Now().Round(0).Add(time.Second), time.Minute + time.Second},
		} {
			if got := c.At(tc.at); got != tc.want {
				t.Errorf("%s: At = %v, want %v", tc.name, got, tc.want)
			}
		}
	})
}
