package config

import (
	"errors"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

// policyTable is one policy, with the data that the warnings need.
type policyTable struct {
	section
	periods []policy.Period // the valid ones
	sound   bool            // all periods and the time zone are valid
	dates   bool            // at least one period has a date that exists
	never   map[string]bool // the periods without a date that exists
}

const (
	maxPolicies = 1000 // far more than anyone can understand; each one takes time and memory to compile
	maxCompared = 100  // each policy is compared with all later ones, so the time grows with the square
)

// policies reads [[runners.autoscaler.policy]], and compiles the schedule when there is no fault in it.
func (r *reader) policies(s section, a *Autoscaler) {
	sound := true
	var tables []policyTable
	nodes := r.policyTables(s)
	if len(nodes) > maxPolicies {
		s.fault(CodeRange, nodes[maxPolicies], "policy", fmt.Sprintf("there are %d policies, but the limit is %d", len(nodes), maxPolicies),
			"remove some of them")
		nodes, sound = nodes[:maxPolicies], false
	}
	for _, n := range nodes {
		t := policyTable{section: r.section(n, s.key("policy"))}
		t.known()
		p := r.policy(&t, a)
		a.Policies = append(a.Policies, p)
		tables = append(tables, t)
		sound = sound && t.sound
		t.warnPolicy(p, a)
	}
	if !sound {
		return
	}
	schedule, err := policy.Compile(a.Policies, time.Local)
	if err != nil { // all known causes were reported above, with their lines
		s.fault(CodeSchedule, s.get("policy"), "policy", err.Error(), "correct the periods and time zones of the policies")
		return
	}
	a.Schedule = schedule
	if len(tables) > maxCompared {
		return
	}
	for _, i := range schedule.NeverHolds() {
		if t := &tables[i]; t.dates { // when no date exists, each period has its own notice
			t.warn(CodeShadowed, t.n, "", "never applies: at each of its minutes a later policy applies too, and the last one wins",
				"put the more specific policy last")
		}
	}
}

func (r *reader) policyTables(s section) []*node {
	return s.tables("policy", "runners.autoscaler.policy", func(n *node) {
		s.warn(CodeLonePolicy, n, "policy", "is a single [runners.autoscaler.policy] table; it is read as one policy", "write it as [[runners.autoscaler.policy]]")
	})
}

func (r *reader) policy(t *policyTable, a *Autoscaler) policy.Policy {
	idleTime, set := t.rawDuration("idle_time")
	if !set {
		idleTime = defaultIdleTime
	}
	p := policy.Policy{Settings: policy.Settings{
		IdleCount: t.count("idle_count"), IdleTime: idleTime,
		ScaleFactor: t.factor(), ScaleFactorLimit: t.count("scale_factor_limit"), ScaleFactorMode: t.mode(),
	}}
	p.Preemptive = t.flag("preemptive_mode", p.IdleCount > 0)
	throttle := t.table("scale_throttle")
	if resolved := r.throttle(throttle, a.MaxInstances); throttle.n != nil {
		p.Throttle = &resolved
	}
	t.sound = true
	p.Periods = t.readPeriods()
	p.Timezone = t.readZone()
	return p
}

func (t *policyTable) factor() float64 {
	f := t.number("scale_factor")
	if f < 0 {
		t.fault(CodeNegative, t.get("scale_factor"), "scale_factor", fmt.Sprintf("is %v, but a factor cannot be negative", f), "write 0 or a positive number")
		return 0
	}
	return f
}

func (t *policyTable) mode() policy.FactorMode {
	if t.choice("scale_factor_mode", "max", same("max", "add"), []string{"max", "add"}) == "add" {
		return policy.FactorAdd
	}
	return policy.FactorMax
}

func (t *policyTable) readPeriods() []string {
	const always = "* * * * *"
	var out []string
	if n := t.get("periods"); n != nil && n.kind != kindArray {
		t.sound = false
	}
	for _, e := range t.elements("periods", "an array of strings") {
		if e.kind != kindString {
			t.mistyped(e, "periods", "a string", stringRemedy(e))
			t.sound = false
			continue
		}
		text := e.value.(string)
		out = append(out, text)
		p, notices, err := policy.ParsePeriod(text)
		if err != nil {
			t.sound = false
			message, remedy := err.Error(), ""
			var bad *policy.PeriodError
			if errors.As(err, &bad) {
				message, remedy = fmt.Sprintf("%q: %s", bad.Text, bad.Reason), bad.Remedy
			}
			t.fault(CodePeriod, e, "periods", message, remedy)
			continue
		}
		t.periods = append(t.periods, p)
		dates := true
		for _, n := range notices {
			t.warn(n.Code, e, "periods", n.Message, "")
			dates = dates && n.Code != policy.NoticeNever
		}
		t.dates = t.dates || dates
		if !dates {
			if t.never == nil {
				t.never = map[string]bool{}
			}
			t.never[p.String()] = true
		}
	}
	if len(out) == 0 && t.sound {
		p, _, _ := policy.ParsePeriod(always)
		t.periods, t.dates = append(t.periods, p), true
		out = []string{always}
	}
	return out
}

func (t *policyTable) readZone() string {
	text := t.str("timezone", "")
	if text == "" {
		return ""
	}
	if _, err := time.LoadLocation(text); err != nil {
		t.sound = false
		t.fault(CodeTimezone, t.get("timezone"), "timezone", fmt.Sprintf("unknown time zone %q", text), zoneRemedy(text))
		return ""
	}
	return text
}
