package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

// warnPolicy checks one policy, and compares it with the size of the group.
func (t *policyTable) warnPolicy(p policy.Policy, a *Autoscaler) {
	s := p.Settings
	if s.ScaleFactor > 0 && s.ScaleFactorMode == policy.FactorMax && s.ScaleFactorLimit > 0 && s.ScaleFactorLimit <= s.IdleCount {
		t.warn(CodeFactorNoEffect, t.get("scale_factor_limit"), "scale_factor_limit", fmt.Sprintf(
			"is not above idle_count, so scale_factor has no effect: %s", describeFactor(s)),
			fmt.Sprintf(`raise it above %d, or write scale_factor_mode = "add"`, s.IdleCount))
	}
	if slots := slots(a); slots > 0 && s.IdleCount > slots {
		t.warn(CodeIdleCapacity, t.get("idle_count"), "idle_count", fmt.Sprintf("%s, but the group runs at most %s (max_instances %d × capacity_per_instance %d)",
			describeIdle(s.IdleCount, a.CapacityPerInstance), words.Count(slots, "job"), a.MaxInstances, a.CapacityPerInstance),
			"raise max_instances or lower idle_count")
	}
	if n := t.get("idle_time"); n != nil && s.IdleTime == 0 && s.IdleCount > 0 && n.kind == kindString {
		t.warn(CodeIdleTimeZero, n, "idle_time", fmt.Sprintf("is 0, so every instance beyond idle_count %d is removed as soon as its jobs end, "+
			"and a new instance is created for the next job", s.IdleCount), `write "5m", for example`)
	}
	if n := t.get("preemptive_mode"); n != nil && s.Preemptive && s.IdleCount == 0 {
		t.warn(CodePreemptive, n, "preemptive_mode", "is true, but idle_count is 0: jobs are requested only for a free slot, and nothing ever creates one",
			"set idle_count, or write preemptive_mode = false")
	}
	if p.Timezone == "" && t.sound {
		if what, period := t.local(); period != "" {
			t.warn(CodeNoTimezone, t.n, "", fmt.Sprintf("has no timezone, so the %s of %q are local time of the machine that runs taskscaler", what, period),
				`write timezone = "Area/City"`)
		}
	}
}

// local returns the first period whose hours or days depend on the time zone, and which of them do. The period is "" if there is none.
func (t *policyTable) local() (what, period string) {
	for _, p := range t.periods {
		f := strings.Fields(p.String())
		switch {
		case len(f) != 5:
		case f[1] != "*":
			return "hours", p.String()
		case !t.never[p.String()] && (f[2] != "*" || f[3] != "*" || f[4] != "*"):
			return "days", p.String()
		}
	}
	return "", ""
}

// warnInsecurePath says what plugin_insecure_path risks. With a sum, no other binary runs.
func (s section) warnInsecurePath(a *Autoscaler) {
	if a.PluginInsecurePath && a.PluginSHA256 == "" {
		s.warn(CodePluginPath, s.get("plugin_insecure_path"), "plugin_insecure_path", "is true: every user who can write to the plugin's binary, or to a folder on the way "+
			"to it, can run programs as the user of the manager, with its credentials", "remove the line and mend the modes, or set plugin_sha256 too")
	}
}

// warnDeadlines reports deadlines that end before a list could show that they are met.
func (r *reader) warnDeadlines(s section, a *Autoscaler) {
	t := r.section(s.get("instance_deadlines"), "runners.autoscaler.instance_deadlines")
	for _, d := range []struct {
		key   string
		value time.Duration
		event string
	}{
		{"requested", a.InstanceDeadlines.Requested, "is listed"}, {"creating", a.InstanceDeadlines.Creating, "runs"},
	} {
		n := t.get(d.key)
		if n == nil { // then the interval is set too high
			n = s.get("update_interval_when_expecting")
		}
		if n != nil && n.kind == kindString && d.value < a.UpdateIntervalWhenExpecting {
			t.warn(CodeDeadlineShort, n, d.key, fmt.Sprintf("is %s, but the provider is asked only every %s (update_interval_when_expecting) whether an instance %s: "+
				"instances are given up that are fine", words.Setting(d.value), words.Setting(a.UpdateIntervalWhenExpecting), d.event), "raise it, or lower update_interval_when_expecting")
		}
	}
}

// slots returns the most jobs that the group can run at once. 0: no limit.
func slots(a *Autoscaler) int {
	return int(min(int64(a.MaxInstances)*int64(a.CapacityPerInstance), 1<<31-1))
}

// warnJobs compares the size of the group with the number of jobs that the runner process takes at once.
func (r *reader) warnJobs(head, s section, f *File, runner *Runner) {
	for _, bound := range []struct {
		in    section
		key   string
		value int
	}{{head, "concurrent", f.Concurrent}, {s, "limit", runner.Limit}} {
		n := bound.in.get(bound.key)
		if n == nil || n.value != int64(bound.value) || bound.value == 0 { // the value is a fault, or not a bound
			continue
		}
		a := runner.Autoscaler
		if most := slots(a); most > bound.value {
			bound.in.warn(CodeCapacity, n, bound.key, fmt.Sprintf("allows %s, but the group of %s can have %s (max_instances %d × capacity_per_instance %d): the rest is never used",
				words.Count(bound.value, "job"), runner.Label(), words.Count(most, "slot"), a.MaxInstances, a.CapacityPerInstance),
				"raise it, or lower max_instances")
		}
		r.warnIdle(s, bound.key, bound.value, a)
	}
}

// warnIdle reports idle slots that no job can ever use.
func (r *reader) warnIdle(s section, key string, value int, a *Autoscaler) {
	t := r.section(s.get("autoscaler"), "runners.autoscaler")
	policies := t.get("policy")
	if policies == nil {
		return
	}
	nodes := policies.elems
	if policies.kind == kindTable {
		nodes = []*node{policies}
	}
	for _, n := range nodes {
		p := r.section(n, "runners.autoscaler.policy")
		idle := p.get("idle_count")
		if idle == nil {
			continue
		}
		if v, ok := idle.value.(int64); ok && v > int64(value) && v <= 1<<31-1 {
			p.warn(CodeIdleJobs, idle, "idle_count", fmt.Sprintf("%s, but %s allows only %s at once",
				describeIdle(int(v), a.CapacityPerInstance), key, words.Count(value, "job")), "lower idle_count or raise "+key)
		}
	}
}
