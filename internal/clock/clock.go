// Package clock reads the two clocks that the manager uses: the elapsed time for deadlines, and the wall time for calendars and stored
// times. One reading returns both. No other code of the manager reads the time.
package clock

import "time"

// Clock measures the time elapsed since it was made. The zero Clock is not usable. A Clock may be copied and used by any goroutine.
type Clock struct {
	base time.Time
	wall func(time.Time) time.Time // changes the wall time; nil: unchanged
}

// New returns a clock that starts at 0 now.
func New() Clock { return Clock{base: time.Now()} }

// Now reads both clocks. mono never goes back. wall has no monotonic part, so that it cannot be used to measure by mistake.
func (c Clock) Now() (mono time.Duration, wall time.Time) {
	t := time.Now()
	mono, wall = t.Sub(c.base), t.Round(0)
	if c.wall != nil {
		wall = c.wall(wall)
	}
	return mono, wall
}

// WithWall returns c with a wall clock that shows f of the real one. Tests use it to set the wall clock.
func (c Clock) WithWall(f func(time.Time) time.Time) Clock {
	c.wall = f
	return c
}

// Mono returns the elapsed time.
func (c Clock) Mono() time.Duration { return time.Since(c.base) }

// At returns the elapsed time at t, such as a context's deadline. It returns at least 1 ns, because a deadline of 0 means none.
func (c Clock) At(t time.Time) time.Duration { return max(t.Sub(c.base), 1) }
