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

// Key names a part of the configuration, as in the file.
type Key string

// The keys that a search may change.
const (
	KeyIdleCount    Key = "idle_count"
	KeyIdleTime     Key = "idle_time"
	KeyScaleFactor  Key = "scale_factor" // with its limit and its mode
	KeyPeriods      Key = "periods"
	KeyMaxInstances Key = "max_instances" // never above the maximum of Today
	KeyThrottle     Key = "scale_throttle"
	KeyCapacity     Key = "capacity_per_instance" // only values of Problem.Capacities
)

// allKeys lists all keys, in the order of a configuration file.
func allKeys() []Key {
	return []Key{KeyCapacity, KeyMaxInstances, KeyThrottle, KeyPeriods, KeyIdleCount, KeyIdleTime, KeyScaleFactor}
}

// Setup is the part of a configuration that a search decides.
type Setup struct {
	Policies     []policy.Policy
	Capacity     int
	MaxInstances int
	Throttle     policy.Throttle
}

// Problem says what to search for.
type Problem struct {
	// Options are the runs: cloud, start (its location is the zone of new periods), seed. Core.Schedule is made from Today.
	Options simulate.Options
	Today   []policy.Policy // the current policies; none: the default of a group without policies
	Jobs    *simulate.Jobs  // the trace; a random workload must be drawn into a list first

	Objective string      // Cost or InstanceHours; empty: Cost if Options has a price
	SLO       []Assertion // promises to keep; none: the p95 wait is at most that of Today
	Fixed     []Key       // keys that keep their current values
	// Capacities are the values of capacity_per_instance to try. In a simulation a larger value is always cheaper, because jobs on one
	// instance do not slow each other down. List only values at which your jobs really run as fast.
	Capacities []int

	Train float64 // share of the jobs, from the first one, that the search may use; 0: 0.6
	// Slack is the distance that the chosen policy must keep from the limit of an SLO on the training part. For a wait, it is a share of
	// the distance between the limit and the wait when everything possible is kept idle. For any other figure, it is a share of the limit.
	// 0: 0.05; negative: no slack.
	Slack   float64
	Budget  int // number of runs, each over the whole training part; 0: 120
	Workers int // goroutines; 0: 2. The answer does not depend on it
	Blocks  int // blocks for the intervals on the rest; 0: 20

	Progress func(Progress) // called from one goroutine at a time; may be nil
}

// Progress says how far a search has come.
type Progress struct {
	Stage        string  // "narrowing", "refining" or "testing"
	Done, Budget float64 // runs over the whole training part
	Best         *Point  // the best point so far; nil: none yet
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

// check returns all faults.
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
		add("the training share must lie between 0 and 1, not %v", p.Train)
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
		if !slices.Contains(allKeys(), k) {
			add("%q cannot be fixed: use one of %s", k, names(allKeys()))
		}
	}
	for _, c := range p.Capacities {
		if c < 1 {
			add("a capacity must be at least 1, not %d", c)
		}
	}
	if p.Options.Warmup > 0 {
		add("a search uses the whole workload: warmup must be 0, not %s", p.Options.Warmup)
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

// minJobs is the smallest number of jobs from which a policy can be learned.
const minJobs = 50

func names(keys []Key) string {
	var all []string
	for _, k := range keys {
		all = append(all, string(k))
	}
	return strings.Join(all, ", ")
}

func (p *Problem) zone() *time.Location { return p.Options.Start.Location() }

// timezone is the zone's name for a configuration file; empty if the name means nothing on another machine.
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

// options are the options of a run of a setup over a part of the trace.
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

// part is a part of the trace. Its first job is at 0.
type part struct {
	jobs  *simulate.Jobs
	start time.Time
	scale float64 // length of the whole trace ÷ length of the part, by arrivals
}

// cut returns the jobs from (inclusive) to to (exclusive).
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
