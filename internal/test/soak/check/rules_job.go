package check

import (
	"slices"
	"strings"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// Exit codes of `taskscaler exec`; docs/operations.md describes them.
const (
	codeLost        = 123
	codeRefused     = 125
	codeInterrupted = 130
	codeKilled      = 137 // SIGKILL ended the command
)

// ran are the commands with the job's nonce: the runs of the job itself.
func (c *checker) ran(j *job) (ran []*command) {
	for _, cmd := range j.commands {
		if strings.Contains(cmd.on.at(cmd.start).Command, c.log[j.asked].Nonce) {
			ran = append(ran, cmd)
		}
	}
	return ran
}

func starts(commands []*command) (lines []string) {
	for _, cmd := range commands {
		lines = append(lines, cmd.lines()...)
	}
	return lines
}

// once checks that a job never ran twice, whatever it was told, and that all its commands had one lease.
func (c *checker) once(j *job) {
	if ran := c.ran(j); len(ran) > 1 {
		c.violate("once", append(starts(ran), c.logLines(j.asked, j.told)...), "%q ran %d times", j.key, len(ran))
	}
	for _, cmd := range j.commands {
		if cmd.lease() != j.commands[0].lease() {
			c.violate("once", starts(j.commands), "%q ran under two leases", j.key)
			return
		}
	}
}

// told compares what the job was told with what the records say.
func (c *checker) told(j *job) {
	lines := append(c.logLines(j.asked, j.killed, j.cancelled, j.told), starts(j.commands)...)
	if j.told < 0 {
		if j.killed < 0 {
			c.violate("told", lines, "%q was never told anything", j.key)
		}
		return
	}
	told := c.log[j.told]
	switch {
	case told.Code == nil && (j.killed >= 0 || j.cancelled >= 0): // this includes SIGINT in the moment before the client handles it
	case told.Code == nil:
		c.violate("told", lines, "the client of %q was ended by a signal, and not by the driver", j.key)
	case c.toldLost(j):
		if why := c.notLost(j); why != "" {
			c.violate("told", lines, "%q was told that its lease was lost, %s", j.key, why)
		}
	case *told.Code == codeRefused:
		c.refused(j, lines)
	case *told.Code == codeInterrupted && j.cancelled >= 0:
		for _, cmd := range j.commands {
			if _, ended := cmd.endTime(); !ended {
				c.violate("told", lines, "%q was cancelled, and its command never ended", j.key)
			}
		}
	default:
		c.answered(j, lines)
	}
}

// answered checks a job that was told an exit code of its own.
func (c *checker) answered(j *job, lines []string) {
	asked, told := c.log[j.asked], c.log[j.told]
	if *told.Code != asked.Want {
		c.violate("told", lines, "%q failed for no accepted reason: exit code %d", j.key, *told.Code)
		return
	}
	ran := c.ran(j)
	switch {
	case len(ran) == 0:
		c.violate("told", lines, "%q was told %d and never ran", j.key, *told.Code)
		return
	case told.Output != asked.Nonce+"\n":
		c.violate("told", lines, "%q was told %d with the output %q, and not with its own", j.key, *told.Code, told.Output)
	}
	if code, ok := ran[0].exited(); !ok || code != *told.Code {
		c.violate("told", lines, "%q was told %d, and its command did not end so", j.key, *told.Code)
	}
}

func (c *checker) refused(j *job, lines []string) {
	if len(j.commands) > 0 {
		c.violate("told", lines, "%q was told that it was not run, and ran", j.key)
	}
	if !c.wasAway(c.log[j.asked].Time, c.log[j.told].Time) {
		c.violate("told", lines, "%q was refused while a manager served", j.key)
	}
}

// notLost says what is wrong with the answer that the lease was lost. Empty: there was an outer cause.
func (c *checker) notLost(j *job) string {
	if len(j.commands) == 0 {
		return c.notLostUnseen(j)
	}
	m := j.commands[0].on
	if c.outerEnd(m) {
		return ""
	}
	return "and there was no outer cause on " + m.Instance
}

// notLostUnseen checks a job whose command never began. Its notes name the instance.
func (c *checker) notLostUnseen(j *job) string {
	for _, m := range c.machines {
		if namesInstance(c.log[j.told].Notes, m.Instance) && c.outerEnd(m) {
			return ""
		}
	}
	return "and there was no outer cause on an instance that its notes name"
}

// namesInstance finds an ID as a separate word: fake-1 is not part of fake-12.
func namesInstance(text, id string) bool {
	return slices.ContainsFunc(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \n:;,()\"", r) }),
		func(word string) bool { return word == id })
}

// outerEnd reports whether something other than the manager ended the instance, or was about to end it.
func (c *checker) outerEnd(m *machine) bool {
	if m.has(record.Reclaiming, record.Reclaimed, record.Vanished, record.Died, record.Expired) >= 0 {
		return true
	}
	return slices.ContainsFunc(c.log, func(e Entry) bool {
		return (e.Event == MachineKilled || e.Event == MachineBroken) && e.Instance == m.Instance
	})
}

// abandoned checks that the slot of an unfinished command, whose client was killed, is never used again.
func (c *checker) abandoned(j *job) {
	if j.killed < 0 || c.limits.Keep || len(j.commands) == 0 {
		return
	}
	last := j.commands[len(j.commands)-1]
	if _, exited := last.exited(); exited || last.end >= 0 && last.on.at(last.end).Time.Before(c.log[j.killed].Time) {
		return
	}
	for _, cmd := range last.on.commands {
		if cmd.start > last.start && cmd.slot == last.slot && cmd.key != j.key {
			c.violate("abandoned", append(append(last.lines(), c.logLine(j.killed)), cmd.startLine()),
				"%q ran on slot %s of %s, whose lease cannot have been returned", cmd.key, cmd.slot, cmd.on.Instance)
		}
	}
}

// retired checks that a job never runs on an instance that a status showed as retired before the job was requested.
func (c *checker) retired(j *job) {
	for _, cmd := range j.commands {
		for i, e := range c.log[:j.asked] {
			if e.Event != StatusAnswered || e.Status == nil || e.Time.After(c.log[j.asked].Time) {
				continue
			}
			if s := e.Status.instance(cmd.on.Instance); s != nil && slices.Contains([]string{"draining", "deleting", "gone"}, s.State) {
				c.violate("retired", append(c.logLines(i, j.asked), cmd.startLine()), "%q ran on %s, which was %s (%s) before the job was requested", j.key,
					cmd.on.Instance, s.State, s.Cause)
				return
			}
		}
	}
}

func (s *Status) instance(id string) *StatusInstance {
	if i := slices.IndexFunc(s.Instances, func(i StatusInstance) bool { return i.ID == id }); i >= 0 {
		return &s.Instances[i]
	}
	return nil
}
