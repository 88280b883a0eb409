package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

// Ahead is what will happen by time alone if nothing else does, as of the last step.
type Ahead struct {
	Edge   time.Time     // on the wall: another policy may hold from then on; zero: never
	Grow   time.Duration // on Time.Mono: a create that is needed and that time alone holds back; 0: there is none
	Shrink time.Duration // on Time.Mono: the longest idle instance without a reservation may go; 0: none will
}

// Ahead looks ahead. It costs the same for any fleet.
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

// Config is the configuration in force, its defaults filled in.
func (c *Core) Config() Config { return c.cfg }

// Throttle is the throttle in force: the policy's, else the group's, its defaults filled in. Its limit is +Inf where there is none.
func (c *Core) Throttle() policy.Throttle { return c.throttled }

// Now is the time of the last step.
func (c *Core) Now() Time { return c.now }
