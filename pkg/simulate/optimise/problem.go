package optimise

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// Objectives of a search.
const (
	Cost          = "cost"           // cost.total: needs a price
	InstanceHours = "instance_hours" // instance_hours.total
)

// Key names a part of the configuration, as the file does.
type Key string

// The keys that a search may change.
const (
	KeyIdleCount    Key = "idle_count"
	KeyIdleTime     Key = "idle_time"
	KeyScaleFactor  Key = "scale_factor" // with its limit and its mode
	KeyPeriods      Key = "periods"
	KeyMaxInstances Key = "max_instances" // never above today's
	KeyThrottle     Key = "scale_throttle"
	KeyCapacity     Key = "capacity_per_instance" // only among Problem.Capacities
)

// Keys are all of them, in the order of a file.
func Keys() []Key {
	return []Key{KeyCapacity, KeyMaxInstances, KeyThrottle, KeyPeriods, KeyIdleCount, KeyIdleTime, KeyScaleFactor}
}

// Setup is the part of a configuration that a search decides.
type Setup struct {
	Policies     []policy.Policy
	Capacity     int
	MaxInstances int
	Throttle     policy.Throttle
}

// Problem is what to search for.
type Problem struct {
	// Options are the runs: cloud, start (its location is the zone of new periods), seed. Core.Schedule is made from Today.
	Options simulate.Options
	Today   []policy.Policy // the policies in force; none: the default of a group without any
	Jobs    *simulate.Jobs  // the trace; a random workload is drawn into a list first

	Objective string      // Cost or InstanceHours; empty: Cost where Options has a price
	SLO       []Assertion // none: the p95 wait is at most today's
	Fixed     []Key       // keep as they are today
	// Capacities are the capacities to try. A larger one is always cheaper here, because a simulated job runs no slower beside others: so it
	// is only varied between values that the operator knows to be as good.
	Capacities []int

	Train float64 // the share of the jobs, from the first, that the search may see; 0: 0.6
	// Slack is what an SLO on a wait must keep from its limit on the training part, as a share of the distance between the limit and the wait
	// with everything kept idle that may be (of any other figure: as a share of the limit). 0: 0.05; below 0: none.
	Slack   float64
	Budget  int // runs over the whole training part; 0: 120
	Workers int // goroutines; 0: 2. It has no influence on the answer
	Blocks  int // of the intervals on the rest; 0: 20

	Progress func(Progress) // called from one goroutine at a time; may be nil
}

// Progress is how far a search has come.
type Progress struct {
	Stage        string  // "narrowing", "refining" or "testing"
	Done, Budget float64 // runs over the whole training part
	Best         *Point  // the best so far; nil: none yet
}

func (p Problem) withDefaults() Problem {
	if p.Train == 0 {
		p.Train = 0.6
	}
	switch {
	case p.Slack == 0:
		p.Slack = 0.05
	case p.Slack < 0:
		p.Slack = 0
	}
	if p.Budget <= 0 {
		p.Budget = 120
	}
	if p.Workers <= 0 {
		p.Workers = 2
	}
	if p.Objective == "" {
		p.Objective = InstanceHours
		if p.Options.Cloud.Price.PerHour > 0 {
			p.Objective = Cost
		}
	}
	if len(p.Today) == 0 {
		p.Today = []policy.Policy{{Settings: policy.DefaultSettings()}}
	}
	p.Options.Group.CapacityPerInstance = max(p.Options.Group.CapacityPerInstance, 1)
	return p
}

// check returns every fault.
func (p *Problem) check() error {
	var faults []error
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if p.Jobs == nil || len(p.Jobs.List) < minJobs {
		n := 0
		if p.Jobs != nil {
			n = len(p.Jobs.List)
		}
		add("a workload of %d jobs is too small to learn from: at least %d are needed", n, minJobs)
	}
	if p.Options.Start.IsZero() {
		add("the start of the run is not set: policies need a calendar")
	}
	if !(p.Train > 0 && p.Train < 1) {
		add("the training share must lie between 0 and 1, is %v", p.Train)
	}
	switch p.Objective {
	case InstanceHours:
	case Cost:
		if p.Options.Cloud.Price.PerHour <= 0 {
			add("the objective is cost, but there is no price: set [price] per_hour in the model, or use the objective %s", InstanceHours)
		}
	default:
		add("the objective %q is unknown: use %s or %s", p.Objective, Cost, InstanceHours)
	}
	for _, k := range p.Fixed {
		if !slices.Contains(Keys(), k) {
			add("%q cannot be fixed: it is none of %s", k, names(Keys()))
		}
	}
	for _, c := range p.Capacities {
		if c < 1 {
			add("a capacity must be at least 1, is %d", c)
		}
	}
	if p.Options.Warmup > 0 {
		add("a search uses the whole workload: warmup must be 0, is %s", p.Options.Warmup)
	}
	if len(faults) == 0 {
		if _, err := policy.Compile(p.Today, p.zone()); err != nil {
			add("today's policies: %w", err)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("optimise: %w", err)
	}
	return nil
}

// minJobs is the least workload that a policy can be learnt from.
const minJobs = 50

func names(keys []Key) string {
	var all []string
	for _, k := range keys {
		all = append(all, string(k))
	}
	return strings.Join(all, ", ")
}

func (p *Problem) zone() *time.Location { return p.Options.Start.Location() }

// timezone is the zone's name for a file; empty when it has none that another machine would know.
func (p *Problem) timezone() string {
	if name := p.zone().String(); name != "Local" {
		return name
	}
	return ""
}

func (p *Problem) today() Setup {
	c := &p.Options.Group
	return Setup{Policies: p.Today, Capacity: max(c.CapacityPerInstance, 1), MaxInstances: c.MaxInstances, Throttle: c.Throttle}
}

// options are those of a run of a setup over a part of the trace.
func (p *Problem) options(s Setup, start time.Time) (simulate.Options, error) {
	o := p.Options
	o.Start, o.Progress, o.Timeline, o.Check = start, nil, 0, false
	schedule, err := policy.Compile(s.Policies, p.zone())
	if err != nil {
		return o, err
	}
	o.Group.Policies, o.Group.CapacityPerInstance, o.Group.MaxInstances, o.Group.Throttle = schedule, s.Capacity, s.MaxInstances, s.Throttle
	return o, nil
}

// part is a stretch of the trace, its first job at 0.
type part struct {
	jobs  *simulate.Jobs
	start time.Time
	scale float64 // the length of the whole trace ÷ that of the part, by arrivals
}

// cut takes jobs from (inclusive) to (exclusive).
func (p *Problem) cut(from, to int) part {
	all := p.Jobs.List
	zero := all[from].Arrival
	list := slices.Clone(all[from:to])
	for i := range list {
		list[i].Arrival -= zero
	}
	whole := (all[len(all)-1].Arrival - all[0].Arrival).Seconds()
	own := list[len(list)-1].Arrival.Seconds()
	scale := 1.0
	if own > 0 && whole > own {
		scale = whole / own
	}
	return part{jobs: &simulate.Jobs{List: list, Names: p.Jobs.Names}, start: p.Options.Start.Add(zero), scale: scale}
}
