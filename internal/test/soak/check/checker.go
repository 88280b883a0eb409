package check

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// checker is a History with indexes, and the violations found.
type checker struct {
	log      []Entry
	limits   Limits
	machines []*machine
	byID     map[string]*machine
	jobs     []*job // in the order of their requests
	byKey    map[string]*job
	away     []stretch // times when no manager served
	found    []Violation
}

// stretch is a time: from the first moment at which something may have been true to the last.
type stretch struct{ from, to time.Time }

// Check applies every rule. It returns the violations, and the size of the soak.
func Check(h *History) ([]Violation, Figures) {
	c := &checker{log: h.Log, byID: map[string]*machine{}, byKey: map[string]*job{}}
	c.indexLog()
	for _, r := range h.Records {
		c.indexRecord(r)
	}
	for _, m := range c.machines {
		c.slots(m)
		c.uses(m)
		c.busy(m)
	}
	c.group()
	for _, j := range c.jobs {
		c.once(j)
		c.told(j)
		c.abandoned(j)
		c.retired(j)
	}
	c.statuses()
	c.manager()
	c.left()
	return c.found, c.figures()
}

func (c *checker) violate(rule string, lines []string, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if i := slices.IndexFunc(c.found, func(v Violation) bool { return v.Rule == rule && v.Text == text }); i >= 0 {
		c.found[i].Times++
		return
	}
	c.found = append(c.found, Violation{Rule: rule, Text: text, Lines: lines, Times: 1})
}

// logLine is an entry of the log, as evidence.
func (c *checker) logLine(i int) string {
	raw, err := json.Marshal(c.log[i])
	if err != nil {
		raw = []byte(err.Error())
	}
	return fmt.Sprintf("log:%d %s", i+1, brief(string(raw)))
}

// logLines are the entries of the log with these indices, as far as they exist.
func (c *checker) logLines(indices ...int) (lines []string) {
	for _, i := range indices {
		if i >= 0 {
			lines = append(lines, c.logLine(i))
		}
	}
	return lines
}

func (c *checker) indexLog() {
	if len(c.log) > 0 && c.log[0].Event == Begin && c.log[0].Limits != nil {
		c.limits = *c.log[0].Limits
	} else {
		c.violate("record", nil, "the driver's log does not begin with what is allowed")
	}
	for i, e := range c.log {
		if e.Event == Asked {
			if j := c.byKey[e.Key]; j != nil {
				c.violate("record", c.logLines(j.asked, i), "the driver asked for two jobs under the key %q", e.Key)
				continue
			}
			j := &job{key: e.Key, asked: i, told: -1, killed: -1, cancelled: -1}
			c.jobs, c.byKey[e.Key] = append(c.jobs, j), j
		}
		c.indexOfJob(i, e)
	}
	c.indexManagers()
}

func (c *checker) indexOfJob(i int, e Entry) {
	j := c.byKey[e.Key]
	if j == nil {
		return
	}
	switch e.Event {
	case Told:
		j.told = i
	case ClientKilled:
		j.killed = i
	case ClientCancelled:
		j.cancelled = i
	}
}

// indexManagers finds the times when no manager served.
func (c *checker) indexManagers() {
	var since time.Time
	for _, e := range c.log {
		switch e.Event {
		case ManagerServes:
			c.away = append(c.away, stretch{since, e.Time})
			since = time.Time{}
		case ManagerKilled, ManagerStopped, ManagerEnded:
			if since.IsZero() {
				since = e.Time
			}
		}
	}
	if n := len(c.log); n > 0 && !since.IsZero() {
		c.away = append(c.away, stretch{since, c.log[n-1].Time})
	}
}

// wasAway reports whether no manager served at some time between.
func (c *checker) wasAway(from, to time.Time) bool {
	return slices.ContainsFunc(c.away, func(s stretch) bool { return !s.from.After(to) && !s.to.Before(from) })
}

// indexRecord pairs the commands of a record and checks that the record is complete.
func (c *checker) indexRecord(r Record) {
	m := &machine{Record: r, finish: -1}
	c.machines, c.byID[r.Instance] = append(c.machines, m), m
	p := pairing{c: c, m: m, open: map[uint64]*command{}, seen: map[uint64]int{}, stopped: -1, booted: -1}
	for i, e := range r.Entries {
		if e.Instance != r.Instance {
			c.violate("record", []string{m.line(i)}, "the record of %s has a line of %s", r.Instance, e.Instance)
		}
		p.entry(i, e)
	}
	if len(r.Entries) > 0 && r.Entries[0].Event != record.Created && !(len(r.Entries) == 1 && m.finish == 0) {
		c.violate("record", []string{m.line(0)}, "the record of %s does not begin with its creation", r.Instance)
	}
}

// pairing is the state while a record is read.
type pairing struct {
	c               *checker
	m               *machine
	open            map[uint64]*command
	seen            map[uint64]int // every number that was used, and where
	booted, stopped int            // where the service began and ended; −1: it did not
}

func (p *pairing) entry(i int, e record.Entry) {
	m := p.m
	wrong := func(format string, args ...any) {
		lines := []string{m.line(i)}
		if m.finish >= 0 {
			lines = append([]string{m.line(m.finish)}, lines...)
		}
		p.c.violate("record", lines, format, args...)
	}
	switch {
	case e.Event == record.CommandStart:
		p.start(i, e, wrong)
		return
	case e.Event == record.CommandEnd: // may come after the instance's end: the instance ended it
		if _, known := p.seen[e.Exec]; !known {
			wrong("%s: command %d ends and has not begun", m.Instance, e.Exec)
		}
		if cmd := p.open[e.Exec]; cmd != nil {
			cmd.end = i
			delete(p.open, e.Exec)
		}
		return
	case m.finish >= 0:
		wrong("%s: the record goes on after its end", m.Instance)
	case e.Event == record.Created && i > 0:
		wrong("%s was created twice", m.Instance)
	case e.Event == record.Booted && p.booted >= 0:
		wrong("%s booted twice", m.Instance)
	case e.Event == record.Booted:
		p.booted = i
	case e.Event == record.Deleting && p.stopped < 0:
		p.stopped = i
	}
	if e.Event.Ends() && m.finish < 0 {
		m.finish = i
	}
}

func (p *pairing) start(i int, e record.Entry, wrong func(string, ...any)) {
	m := p.m
	switch before, known := p.seen[e.Exec]; {
	case known:
		p.c.violate("record", []string{m.line(before), m.line(i)}, "%s gave the number %d to two commands", m.Instance, e.Exec)
	case p.booted < 0:
		wrong("%s ran a command before it had booted", m.Instance)
	case m.finish >= 0 || p.stopped >= 0:
		wrong("%s began a command after its service had ended", m.Instance)
	}
	p.seen[e.Exec] = i
	if e.Key == "" { // a command of the manager, or the end of another command
		return
	}
	cmd := &command{on: m, start: i, end: -1, key: e.Key, slot: e.Slot, use: e.Use}
	m.commands = append(m.commands, cmd)
	p.open[e.Exec] = cmd
	if j := p.c.byKey[e.Key]; j != nil {
		j.commands = append(j.commands, cmd)
	} else {
		wrong("%s ran a command under the key %q, for which nobody asked", m.Instance, e.Key)
	}
}

func (c *checker) figures() Figures {
	f := Figures{Jobs: len(c.jobs), Instances: len(c.machines), Ends: map[record.Event]int{}, Kills: map[Event]int{}, Restarts: -1}
	for _, m := range c.machines {
		f.Commands += len(m.commands)
		if m.finish >= 0 {
			f.Ends[m.at(m.finish).Event]++
		}
	}
	for _, e := range c.log {
		switch {
		case e.Event == StatusAnswered:
			f.Statuses++
		case e.Event == ManagerStarted:
			f.Restarts++
		case e.Event == End && e.Left != nil:
			f.Left = e.Left.Count()
		case slices.Contains(violent, e.Event):
			f.Kills[e.Event]++
		}
	}
	f.Restarts = max(f.Restarts, 0)
	for _, m := range c.machines {
		if m.finish < 0 {
			f.Left++
		}
	}
	for _, j := range c.jobs {
		c.count(&f, j)
	}
	return f
}

func (c *checker) count(f *Figures, j *job) {
	if j.told < 0 {
		f.Killed++
		return
	}
	told := c.log[j.told]
	f.LongestJob = max(f.LongestJob, told.Time.Sub(c.log[j.asked].Time))
	switch {
	case told.Code == nil || *told.Code < 0:
		f.Killed++
	case c.toldLost(j):
		f.Lost++
	case *told.Code == codeRefused:
		f.Refused++
	case *told.Code == codeInterrupted && j.cancelled >= 0:
		f.Cancelled++
	default:
		f.OK++
	}
}
