package cloudmodel

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
)

// Instance is an instance, as a list shows it.
type Instance struct {
	Number  uint64
	State   State
	Created time.Duration
}

// Listed is the outcome of a list call.
type Listed struct {
	Failure failure.Failure // the list is incomplete or empty
	Delay   time.Duration   // how long the answer takes
}

// List appends the instances that the cloud shows, in ascending order of number: the state one lag ago, without those omitted by chance.
func (c *Cloud) List(now time.Duration, list []Instance) ([]Instance, Listed) {
	c.settle(now)
	k := c.count.Lists
	c.count.Lists++
	answer := Listed{Delay: c.delay(streamSlowList, k)}
	start := len(list)
	at := c.now - c.cfg.List.Lag.Value()
	for slot := c.first; slot != nowhere; slot = c.machine[slot].next {
		m := &c.machine[slot]
		state := m.at(at)
		if state == none || c.cfg.List.Omit > 0 && Uniform(c.seed^mix(k), streamOmit, m.number) < c.cfg.List.Omit {
			continue
		}
		list = append(list, Instance{Number: m.number, State: state, Created: m.created})
	}
	if c.happens(c.cfg.List.Failure.Probability, streamList, k) {
		answer.Failure = c.cfg.List.Failure.failure("the list could not be read to its end")
		list = list[:start+int(c.cfg.List.Keep*float64(len(list)-start))]
	}
	return list, answer
}

// State returns the true state of instance number n at the latest time given, and whether the instance exists.
func (c *Cloud) State(n uint64) (State, bool) {
	slot, known := c.find(n)
	if !known {
		return none, false
	}
	return c.machine[slot].seen, true
}
