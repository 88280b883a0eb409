package check

import (
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// statuses compares every answer of status with the records and the log.
func (c *checker) statuses() {
	for i, e := range c.log {
		if e.Event == StatusAnswered && e.Status != nil && e.Status.Starting {
			c.starting(i)
		}
		if e.Event != StatusAnswered || e.Status == nil || e.Status.Stale || e.Status.Starting {
			continue // a stale status has no instances, and a starting manager neither
		}
		c.itself(i, e.Status)
		for n := range e.Status.Instances {
			c.instance(i, &e.Status.Instances[n])
		}
		c.leases(i, e)
	}
}

// starting checks that a manager that has served does not say that it starts.
func (c *checker) starting(i int) {
	for n := i - 1; n >= 0; n-- {
		switch c.log[n].Event {
		case ManagerStarted:
			return
		case ManagerServes:
			if c.log[n].Time.Before(c.log[i].Status.Asked) {
				c.violate("status", c.logLines(n, i), "the manager had served, and says that it is starting")
			}
			return
		}
	}
}

// itself checks that a status does not contradict itself.
func (c *checker) itself(i int, s *Status) {
	keys := map[string]bool{}
	for _, in := range s.Instances {
		slots := map[int]bool{}
		for _, l := range in.Leases {
			if keys[l.Key] {
				c.violate("status", c.logLines(i), "%q has two leases", l.Key)
			}
			if slots[l.Slot] || l.Slot < 0 || l.Slot >= c.limits.Capacity {
				c.violate("status", c.logLines(i), "%s: slot %d is leased twice, or does not exist: there are %d slots", in.ID, l.Slot, c.limits.Capacity)
			}
			keys[l.Key], slots[l.Slot] = true, true
		}
		if len(in.Leases) > 0 && in.State != "ready" && in.State != "draining" {
			c.violate("status", c.logLines(i), "%s is %s and has leases", in.ID, in.State)
		}
		if c.limits.MaxUses > 0 && in.Uses > c.limits.MaxUses {
			c.violate("status", c.logLines(i), "%s was used %d times; an instance is used %d times", in.ID, in.Uses, c.limits.MaxUses)
		}
	}
}

// instance checks that a status does not contradict the record of an instance.
func (c *checker) instance(i int, in *StatusInstance) {
	m := c.byID[in.ID]
	if m == nil {
		c.violate("status", c.logLines(i), "%s has no record: it was never created", in.ID)
		return
	}
	asked, answered := c.log[i].Status.Asked, c.log[i].Time
	switch booted := m.has(record.Booted); {
	case (in.State == "gone" || in.State == "lost") && (m.finish < 0 || m.at(m.finish).Time.After(answered)):
		lines := c.logLines(i)
		if m.finish >= 0 {
			lines = append(lines, m.line(m.finish))
		}
		c.violate("status", lines, "%s is shown as %s, but it exists", in.ID, in.State)
	case in.State == "ready" && (booted < 0 || m.at(booted).Time.After(answered)):
		c.violate("status", c.logLines(i), "%s is shown as ready, but it has not booted", in.ID)
	}
	keys := map[string]bool{}
	for _, cmd := range m.commands {
		if cmd.startTime().Before(asked) {
			keys[cmd.key] = true
		}
	}
	if len(keys) > in.Uses {
		c.violate("status", append(c.logLines(i), m.line(m.commands[0].start)), "%s had served %d jobs, but status shows %d", in.ID, len(keys), in.Uses)
	}
}

// leases checks that a running job has a lease, and that a job that has ended has none.
func (c *checker) leases(i int, e Entry) {
	type place struct{ instance, slot string }
	shown := map[string]place{}
	for _, in := range e.Status.Instances {
		for _, l := range in.Leases {
			shown[l.Key] = place{in.ID, itoa(l.Slot)}
		}
	}
	for _, m := range c.machines {
		for _, cmd := range m.commands {
			if c.holds(cmd, e.Status.Asked, e.Time) && shown[cmd.key] != (place{m.Instance, cmd.slot}) {
				c.violate("lease", append(c.logLines(c.servedSince(i), i), cmd.lines()...), "%q ran on slot %s of %s, but status does not show this lease",
					cmd.key, cmd.slot, m.Instance)
			}
		}
	}
	for _, key := range sortedKeys(shown) {
		switch j := c.byKey[key]; {
		case j == nil:
			c.violate("status", c.logLines(i), "%q has a lease, but was never requested", key)
		case c.gaveBack(j, e.Status.Asked):
			c.violate("lease", c.logLines(j.told, i), "%q had returned its lease, but status still shows it", key)
		}
	}
}

// holds reports whether a command ran from one time to another with a lease that must exist during this time.
func (c *checker) holds(cmd *command, from, to time.Time) bool {
	end, ok := cmd.endTime()
	if cmd.startTime().After(from) || ok && end.Before(to) {
		return false
	}
	j := c.byKey[cmd.key]
	return j != nil && !c.killedBefore(j, to) && !c.toldLost(j) && j.told >= 0
}

// gaveBack reports whether a job's client had ended before a time and had returned its lease: it ended with the command's code or was
// cancelled, and did not report that the return failed.
func (c *checker) gaveBack(j *job, before time.Time) bool {
	if j.told < 0 || j.killed >= 0 || c.log[j.told].Kept || !c.log[j.told].Time.Before(before) {
		return false
	}
	code := c.log[j.told].Code
	return code != nil && (*code == c.log[j.asked].Want || *code == codeInterrupted && j.cancelled >= 0)
}

// servedSince is the last entry before i that says that a manager serves.
func (c *checker) servedSince(i int) int {
	for ; i >= 0; i-- {
		if c.log[i].Event == ManagerServes {
			return i
		}
	}
	return -1
}

// manager checks that the manager ends only when it is killed or stopped.
func (c *checker) manager() {
	last := -1 // what the driver did to the current manager
	for i, e := range c.log {
		switch e.Event {
		case ManagerStarted, ManagerKilled, ManagerStopped:
			last = i
		case ManagerEnded:
			switch {
			case last >= 0 && c.log[last].Event == ManagerKilled:
			case last < 0 || c.log[last].Event != ManagerStopped:
				c.violate("manager", c.logLines(last, i), "the manager ended, but it was not killed or stopped")
			case e.Code == nil || *e.Code != 0:
				c.violate("manager", c.logLines(last, i), "the manager was told to stop, and failed")
			}
		}
	}
}

// left checks that the soak came to its end and that nothing is left.
func (c *checker) left() {
	for _, m := range c.machines {
		if m.finish < 0 && len(m.Entries) > 0 {
			c.violate("left", []string{m.line(len(m.Entries) - 1)}, "%s still exists", m.Instance)
		}
	}
	n := len(c.log) - 1
	if n < 0 || c.log[n].Event != End || c.log[n].Left == nil {
		c.violate("left", c.logLines(n), "the driver did not report what was left: the soak did not finish")
		return
	}
	l := c.log[n].Left
	for what, list := range map[string][]string{
		"process": l.Processes, "folder": l.Folders, "instance in the state": l.Instances, "lease in the state": l.Leases,
		"unfinished create in the state": l.Intents,
	} {
		if len(list) > 0 {
			c.violate("left", list, "%d left: %s", len(list), what)
		}
	}
	slices.SortStableFunc(c.found, func(a, b Violation) int { return strings.Compare(a.Rule, b.Rule) })
}
