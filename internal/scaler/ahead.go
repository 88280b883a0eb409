package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

// Ahead says what happens next if only time passes and no event arrives. It is computed as of the last step.
type Ahead struct {
	Edge   time.Time     // wall time from which another policy may be active; zero: never
	Grow   time.Duration // on Time.Mono: when a create that is needed now, and that only has to wait, may happen; 0: there is none
	Shrink time.Duration // on Time.Mono: when the longest idle instance without a reservation may be retired; 0: none will be
}

// Ahead returns what happens next if only time passes. Its cost does not depend on the size of the fleet.
func (c *Core) Ahead() (a Ahead) {
	if c.hasEdge {
		a.Edge = c.nextEdge
	}
	if at, may := c.growAt(); may {
		a.Grow = max(at, c.now.Mono)
	}
	if at, may := c.shrinkAt(); may {
		a.Shrink = max(at, c.now.Mono)
	}
	return a
}

// Config returns the configuration in force, with its defaults filled in.
func (c *Core) Config() Config { return c.cfg }

// Throttle returns the throttle in force, with its defaults filled in: the active policy's, or else the group's. Its Limit is +Inf when
// creates are not limited.
func (c *Core) Throttle() policy.Throttle { return c.throttled }

// Now returns the time of the last step.
func (c *Core) Now() Time { return c.now }
