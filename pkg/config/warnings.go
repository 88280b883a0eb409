package config

import (
	"fmt"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

// warnPolicy looks at one policy by itself and against the size of the fleet.
func (t *policyTable) warnPolicy(p policy.Policy, a *Autoscaler) {
	s := p.Settings
	if s.ScaleFactor > 0 && s.ScaleFactorMode == policy.FactorMax && s.ScaleFactorLimit > 0 && s.ScaleFactorLimit <= s.IdleCount {
		t.warn(CodeFactorNoEffect, t.get("scale_factor_limit"), "scale_factor_limit", fmt.Sprintf(
			"is not above idle_count, so scale_factor never acts: %s", describeFactor(s)),
			fmt.Sprintf(`raise it above %d, or write scale_factor_mode = "add"`, s.IdleCount))
	}
	if slots := slots(a); slots > 0 && s.IdleCount > slots {
		t.warn(CodeIdleCapacity, t.get("idle_count"), "idle_count", fmt.Sprintf("%s, but the fleet holds at most %s (%d × %d)",
			describeIdle(s.IdleCount, a.CapacityPerInstance), plural(slots, "job"), a.MaxInstances, a.CapacityPerInstance),
			"raise max_instances or lower idle_count")
	}
	if n := t.get("idle_time"); n != nil && s.IdleTime == 0 && s.IdleCount > 0 && n.kind == kindString {
		t.warn(CodeIdleTimeZero, n, "idle_time", fmt.Sprintf("with idle_time 0 every instance beyond idle_count %d goes as soon as its jobs end: "+
			"instances will come and go with each job", s.IdleCount), `write "5m", for example`)
	}
	if n := t.get("preemptive_mode"); n != nil && s.Preemptive && s.IdleCount == 0 {
		t.warn(CodePreemptive, n, "preemptive_mode", "with idle_count 0 there is never a free slot to ask a job for, so nothing is ever created",
			"set idle_count, or preemptive_mode = false")
	}
	if p.Timezone == "" && t.sound {
		if hours := t.hours(); hours != "" {
			t.warn(CodeNoTimezone, t.n, "", fmt.Sprintf("the hours of %q are in the zone of the machine that taskscaler runs on", hours),
				`set timezone = "Area/City"`)
		}
	}
}

// hours returns the first period that depends on the hour, or "".
func (t *policyTable) hours() string {
	for _, p := range t.periods {
		if f := strings.Fields(p.String()); len(f) == 5 && f[1] != "*" {
			return p.String()
		}
	}
	return ""
}

// slots is the most jobs that the fleet can hold at once; 0: no limit is set.
func slots(a *Autoscaler) int {
	return int(min(int64(a.MaxInstances)*int64(a.CapacityPerInstance), 1<<31-1))
}

// warnJobs compares the fleet with the jobs that the runner process will ever take.
func (r *reader) warnJobs(head, s section, f *File, runner *Runner) {
	for _, bound := range []struct {
		in    section
		key   string
		value int
	}{{head, "concurrent", f.Concurrent}, {s, "limit", runner.Limit}} {
		n := bound.in.get(bound.key)
		if n == nil || n.value != int64(bound.value) || bound.value == 0 && bound.key == "limit" { // a fault, or a limit of 0: none
			continue
		}
		a := runner.Autoscaler
		if most := slots(a); most > bound.value {
			bound.in.warn(CodeCapacity, n, bound.key, fmt.Sprintf("allows %s, but the fleet of %s can have %s (%d × %d): the rest can never be used",
				plural(bound.value, "job"), runner.Label(), plural(most, "slot"), a.MaxInstances, a.CapacityPerInstance),
				"raise it, or lower max_instances")
		}
		r.warnIdle(s, bound.key, bound.value, a)
	}
}

// warnIdle complains about idle slots that no job can ever take.
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
				describeIdle(int(v), a.CapacityPerInstance), key, plural(value, "job")), "lower idle_count or raise "+key)
		}
	}
}
