package check

import (
	"slices"
	"strconv"
	"time"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// slots checks slot and capacity at every start of a command.
func (c *checker) slots(m *machine) {
	var open []*command
	for _, cmd := range m.commands { // in the order of their starts
		open = slices.DeleteFunc(open, func(o *command) bool { return o.end >= 0 && o.end < cmd.start })
		keys := map[string]bool{cmd.key: true}
		lines := []string{}
		for _, o := range open {
			keys[o.key] = true
			lines = append(lines, o.lines()...)
			if o.slot == cmd.slot && o.key != cmd.key {
				c.violate("slot", append(o.lines(), cmd.startLine()), "slot %s of %s: %q began while %q ran", cmd.slot, m.Instance, cmd.key, o.key)
			}
		}
		if len(keys) > c.limits.Capacity {
			c.violate("capacity", append(lines, cmd.startLine()), "%s ran %d jobs at once and has %d slots", m.Instance, len(keys), c.limits.Capacity)
		}
		if n, err := strconv.Atoi(cmd.slot); err != nil || n < 0 || n >= c.limits.Capacity {
			c.violate("capacity", []string{cmd.startLine()}, "%s has no slot %q: there are %d, from 0", m.Instance, cmd.slot, c.limits.Capacity)
		}
		open = append(open, cmd)
	}
}

// uses checks max_use_count.
func (c *checker) uses(m *machine) {
	byUse, byKey := map[string]*command{}, map[string]*command{}
	var firsts []string
	for _, cmd := range m.commands {
		n, err := strconv.Atoi(cmd.use)
		if err != nil || n < 1 || c.limits.MaxUses > 0 && n > c.limits.MaxUses {
			c.violate("uses", []string{cmd.startLine()}, "%s: %q ran as use %q; an instance has %d", m.Instance, cmd.key, cmd.use, c.limits.MaxUses)
		}
		if other := byUse[cmd.use]; other != nil && other.key != cmd.key {
			c.violate("uses", []string{other.startLine(), cmd.startLine()}, "%s: use %s was given to %q and to %q", m.Instance, cmd.use, other.key, cmd.key)
		}
		byUse[cmd.use] = cmd
		if byKey[cmd.key] == nil {
			byKey[cmd.key] = cmd
			firsts = append(firsts, cmd.startLine())
		}
	}
	if c.limits.MaxUses > 0 && len(byKey) > c.limits.MaxUses {
		c.violate("uses", firsts, "%s served %d jobs; an instance serves %d", m.Instance, len(byKey), c.limits.MaxUses)
	}
}

// busy checks the moment at which an instance's delete was requested.
func (c *checker) busy(m *machine) {
	at := m.has(record.Deleting)
	if at < 0 {
		if at = m.has(record.Deleted); at < 0 {
			return
		}
	}
	for _, cmd := range m.commands {
		if cmd.start > at || cmd.end >= 0 && cmd.end < at {
			continue
		}
		j := c.byKey[cmd.key]
		if j == nil || c.killedBefore(j, m.at(at).Time) || c.toldLost(j) {
			continue
		}
		lines := append(cmd.lines(), m.line(at))
		c.violate("busy", append(lines, c.logLines(j.asked, j.told)...), "the delete of %s was requested while %q ran on it", m.Instance, cmd.key)
	}
}

func (c *checker) killedBefore(j *job, at time.Time) bool {
	return j.killed >= 0 && c.log[j.killed].Time.Before(at)
}

// toldLost reports whether the job's client was told that its lease was lost, or that SIGKILL ended its command. A machine that ends kills
// its commands with SIGKILL.
func (c *checker) toldLost(j *job) bool {
	if j.told < 0 || c.log[j.told].Code == nil {
		return false
	}
	return *c.log[j.told].Code == codeLost || *c.log[j.told].Code == codeKilled && slices.ContainsFunc(j.commands, (*command).wasKilled)
}

// group counts the existing instances at every create.
func (c *checker) group() {
	type moment struct {
		at    time.Time
		m     *machine
		index int
	}
	var all []moment
	for _, m := range c.machines {
		if i := m.has(record.Created); i >= 0 {
			all = append(all, moment{m.at(i).Time, m, i})
			if m.finish >= 0 {
				all = append(all, moment{m.at(m.finish).Time, m, m.finish})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b moment) int { return a.at.Compare(b.at) })
	alive := map[*machine]bool{}
	var order []*machine
	for _, at := range all {
		if at.index == at.m.finish {
			delete(alive, at.m)
			continue
		}
		alive[at.m] = true
		order = append(order, at.m)
		if len(alive) <= c.limits.MaxInstances || c.limits.MaxInstances == 0 {
			continue
		}
		var lines []string
		for _, m := range order {
			if alive[m] {
				lines = append(lines, m.line(m.has(record.Created)))
			}
		}
		c.violate("group", lines, "%d instances existed; at most %d may", len(alive), c.limits.MaxInstances)
	}
}
