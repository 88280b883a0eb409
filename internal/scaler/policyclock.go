package scaler

import "github.com/taskscaler/taskscaler/pkg/policy"

// refreshPolicy makes active what holds at this wall time. It asks the schedule only when the clock has passed the next edge, or has
// jumped back, so that it costs nothing on most steps.
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

// settings are what is asked for now: the policy's, or nothing while the manager takes no new work.
func (c *Core) settings() policy.Settings {
	s := c.active.Settings
	if c.draining || c.shutdown {
		s.IdleCount, s.ScaleFactor, s.IdleTime = 0, 0, 0
	}
	return s
}
