package scaler

import "github.com/taskscaler/taskscaler/pkg/policy"

// refreshPolicy activates the policy for the current wall time. It evaluates the schedule only when the wall clock passed the next edge or
// jumped back, so most steps cost nothing.
func (c *Core) refreshPolicy() {
	wall := c.now.Wall
	if !c.evaluated.IsZero() && !wall.Before(c.evaluated) && (!c.hasEdge || wall.Before(c.nextEdge)) {
		return
	}
	first := c.evaluated.IsZero()
	c.evaluated = wall
	c.nextEdge, c.hasEdge = c.cfg.Schedule.NextChange(wall)
	was := c.active.Index
	c.active = c.cfg.Schedule.At(wall)
	if !first && was == c.active.Index {
		return
	}
	c.window.reset(c.now.Mono)
	c.applyThrottle()
	c.fact(Fact{Kind: FactPolicy, Count: c.active.Index})
}

// settings returns the active policy's settings, without any demand for idle instances while no new work is accepted.
func (c *Core) settings() policy.Settings {
	s := c.active.Settings
	if c.draining || c.shutdown {
		s.IdleCount, s.ScaleFactor, s.IdleTime = 0, 0, 0
	}
	return s
}
