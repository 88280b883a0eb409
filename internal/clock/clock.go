// Package clock is where the shell reads its clocks: one reading gives both, the elapsed time that deadlines are measured on and the wall
// time that calendars and stored stamps read. Nothing else in the shell asks what time it is.
package clock

import "time"

// Clock measures elapsed time from the moment it was made. The zero Clock is not usable; it may be copied and used by any goroutine.
type Clock struct {
	base time.Time
	wall func(time.Time) time.Time // nil: as it is
}

// New starts a clock at 0.
func New() Clock { return Clock{base: time.Now()} }

// Now reads both clocks at once. mono never goes back; wall has no monotonic part, so that nobody can measure with it by mistake.
func (c Clock) Now() (mono time.Duration, wall time.Time) {
	t := time.Now()
	mono, wall = t.Sub(c.base), t.Round(0)
	if c.wall != nil {
		wall = c.wall(wall)
	}
	return mono, wall
}

// WithWall is c with a wall clock that shows f of the real one: for tests of what happens when that clock is set.
func (c Clock) WithWall(f func(time.Time) time.Time) Clock {
	c.wall = f
	return c
}

// Mono is the elapsed time.
func (c Clock) Mono() time.Duration { return time.Since(c.base) }

// At is the elapsed time at which t comes: a context's deadline, say. A t in the past gives what was elapsed then, at least 1 ns, because
// 0 means no deadline to those who use it.
func (c Clock) At(t time.Time) time.Duration { return max(t.Sub(c.base), 1) }
