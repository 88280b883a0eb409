package workload

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// maxTags limits the number of different tags of a workload, because each tag has figures of its own.
const maxTags = 1024

// otherTags is the tag of jobs beyond maxTags.
const otherTags = "(other)"

// longest limits a run time. A longer one is an error in the log.
const longest = 100 * 365 * day

// Arrivals must lie between these two moments (Unix time in ns, 1940 to 2200). The difference of any two of them fits into a time.Duration.
const (
	earliestTime = -30 * 365 * int64(day)
	latestTime   = 230 * 365 * int64(day)
)

// row is what a reader knows about one job.
type row struct {
	at       int    // line or number of the row
	arrival  int64  // ns; Unix time if the log has a calendar
	duration int64  // ns
	wait     int64  // ns, -1: unknown
	tags     string // as in Names: sorted, separated by commas
	runner   []string
	name     string
}

// collector takes the rows of a log and counts those that it drops.
type collector struct {
	in       *input
	format   string
	calendar bool // arrivals are Unix times
	zero     bool // a job with a run time of zero counts as a job
	columns  string
	hint     string // what to do when no job is left

	rows    int
	dropped []Dropped
	reasons map[string]int
	list    []simulate.Job
	waits   []time.Duration
	waited  bool // at least one wait is known
	names   []string
	tags    map[string]int
	keep    []bool // by tag: whether the filter keeps it

	latest int64
	behind int
}

func newCollector(in *input, format string) *collector {
	c := &collector{in: in, format: format, reasons: map[string]int{}, latest: math.MinInt64, zero: in.o.KeepZero}
	c.tags, c.names, c.keep = map[string]int{"": 0}, []string{""}, []bool{len(in.o.Tags) == 0}
	return c
}

// drop counts a row that does not become a job.
func (c *collector) drop(at int, reason string) { c.dropValue(at, reason, "") }

// sampleLength is how much of a value a reason shows.
const sampleLength = 40

// dropValue is drop for a row with a value that cannot be read.
func (c *collector) dropValue(at int, reason, value string) {
	c.rows++
	i, ok := c.reasons[reason]
	if !ok {
		i = len(c.dropped)
		c.reasons[reason] = i
		c.dropped = append(c.dropped, Dropped{Reason: reason, First: at, Value: strings.Clone(value[:min(len(value), sampleLength)])})
	}
	c.dropped[i].Count++
}

// Reasons that several formats use.
const (
	whyNegative = "the run time is negative"
	whyZero     = "the run time is zero: cancelled before it ran"
	whyLong     = "the run time is more than a hundred years"
	whyTag      = "filtered out by its tag"
	whyRunner   = "filtered out by its runner"
	whyName     = "filtered out by its name"
	whyTime     = "filtered out by the time of its arrival"
	whyStart    = "it was never started"
	whyUnknown  = "the run time is unknown"
	whyYear     = "a time is out of range"
)

// add takes a job, or drops it with a reason.
func (c *collector) add(r *row) {
	switch why := c.against(r); why {
	case "":
		c.take(r)
	default:
		c.drop(r.at, why)
	}
}

func (c *collector) against(r *row) string {
	o := c.in.o
	switch {
	case r.duration < 0:
		return whyNegative
	case r.duration == 0 && !c.zero:
		return whyZero
	case r.duration > int64(longest):
		return whyLong
	case r.arrival < earliestTime || r.arrival > latestTime:
		return whyYear
	case !c.keep[c.tag(r.tags)]:
		return whyTag
	case len(o.Runners) > 0 && !matches(o.Runners, r.runner...):
		return whyRunner
	case len(o.Names) > 0 && !matches(o.Names, r.name):
		return whyName
	case c.calendar && !o.From.IsZero() && r.arrival < o.From.UnixNano(), c.calendar && !o.To.IsZero() && r.arrival >= o.To.UnixNano():
		return whyTime
	}
	return ""
}

// takePlain takes a job that has only an arrival and a duration, so that no filter applies.
func (c *collector) takePlain(arrival, duration int64) {
	c.rows++
	if arrival < c.latest {
		c.behind++
	} else {
		c.latest = arrival
	}
	c.list = append(c.list, simulate.Job{Arrival: time.Duration(arrival), Duration: time.Duration(duration)})
}

func (c *collector) take(r *row) {
	c.takePlain(r.arrival, r.duration)
	c.list[len(c.list)-1].Tag = c.tag(r.tags)
	if r.wait < 0 {
		r.wait = -1
	} else if !c.waited {
		c.waited = true
		c.waits = slices.Grow(c.waits, len(c.list))
		for len(c.waits) < len(c.list)-1 {
			c.waits = append(c.waits, -1)
		}
	}
	if c.waited {
		c.waits = append(c.waits, time.Duration(r.wait))
	}
}

// tag returns the index of a set of tags.
func (c *collector) tag(tags string) int {
	if tags == "" {
		return 0
	}
	if i, ok := c.tags[tags]; ok {
		return i
	}
	keep := len(c.in.o.Tags) == 0 || matches(c.in.o.Tags, strings.Split(tags, ",")...)
	name := tags
	if len(c.names) >= maxTags { // the filter still gets the real tags, so (other) can appear twice: kept and not kept
		name = otherTags
		if !keep {
			name += " "
		}
		if i, ok := c.tags[name]; ok {
			return i
		}
	}
	c.tags[name] = len(c.names)
	c.names = append(c.names, strings.TrimSpace(name))
	c.keep = append(c.keep, keep)
	return len(c.names) - 1
}

// joinTags returns the name of a set of tags.
func joinTags(tags []string) string {
	var clean []string
	for _, t := range tags {
		if t = strings.TrimSpace(t); t != "" {
			clean = append(clean, t)
		}
	}
	slices.Sort(clean)
	return strings.Join(slices.Compact(clean), ",")
}

func matches(patterns []string, names ...string) bool {
	for _, p := range patterns {
		for _, n := range names {
			if ok, _ := path.Match(p, n); ok || p == n {
				return true
			}
		}
	}
	return false
}

// finish sorts the jobs, cuts out the chosen part, scales it and returns the result.
func (c *collector) finish() (*Loaded, error) {
	o := c.in.o
	if !c.calendar && !(o.From.IsZero() && o.To.IsZero()) {
		return nil, c.in.fail(0, 0, nil, "a time range was given, but this log has no calendar",
			"use an offset from its start instead (skip, take)")
	}
	c.sort()
	c.cut()
	if len(c.list) == 0 {
		return nil, c.empty()
	}
	l := &Loaded{Format: c.format, Rows: c.rows, Dropped: c.dropped, OutOfOrder: c.behind, Columns: c.columns}
	origin := c.list[0].Arrival
	if c.calendar {
		l.Origin = time.Unix(0, int64(origin)).UTC()
	}
	for i := range c.list {
		c.list[i].Arrival -= origin
	}
	if c.waited {
		l.Waits = c.waits
	}
	slices.SortStableFunc(l.Dropped, func(a, b Dropped) int { return a.First - b.First })
	l.Jobs = &simulate.Jobs{List: c.list, Names: c.names}
	if o.Scale != 0 && o.Scale != 1 {
		l.Waits = nil
		if l.Jobs.List = scale(c.list, o); len(l.Jobs.List) == 0 {
			return nil, c.in.fail(0, 0, nil, fmt.Sprintf("no job is left of %d at a scale of %v", len(c.list), o.Scale), "use a greater scale")
		}
	}
	return l, nil
}

// sort orders the jobs by arrival. Jobs that arrive together keep their order.
func (c *collector) sort() {
	if c.behind == 0 {
		return
	}
	order := make([]int, len(c.list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch x, y := c.list[a].Arrival, c.list[b].Arrival; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	list, waits := make([]simulate.Job, len(order)), make([]time.Duration, len(c.waits))
	for to, from := range order {
		list[to] = c.list[from]
		if c.waited {
			waits[to] = c.waits[from]
		}
	}
	c.list, c.waits = list, waits
}

// cut keeps the part of the log that Skip and Take choose.
func (c *collector) cut() {
	o := c.in.o
	if len(c.list) == 0 || o.Skip == 0 && o.Take == 0 {
		return
	}
	first := c.list[0].Arrival
	from, _ := slices.BinarySearchFunc(c.list, o.Skip, func(j simulate.Job, t time.Duration) int { return compare(j.Arrival-first, t) })
	to := len(c.list)
	if end := o.Skip + o.Take; o.Take > 0 && end > 0 {
		to, _ = slices.BinarySearchFunc(c.list, end, func(j simulate.Job, t time.Duration) int { return compare(j.Arrival-first, t) })
	}
	if from >= to {
		c.hint = fmt.Sprintf("choose a span that holds jobs (--from, --to): the last one arrived %s after the first", c.list[len(c.list)-1].Arrival-first)
	}
	if out := len(c.list) - (to - from); out > 0 {
		c.dropped = append(c.dropped, Dropped{Reason: "left out by skip and take", Count: out, First: c.rows})
	}
	c.list = c.list[from:to]
	if c.waited {
		c.waits = c.waits[from:to]
	}
}

func compare(a, b time.Duration) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// empty is the error for a log without a job.
func (c *collector) empty() error {
	if c.rows == 0 {
		return c.in.fail(0, 0, nil, "the workload has no jobs", "give a log with at least one job")
	}
	worst := c.dropped[0]
	for _, d := range c.dropped {
		if d.Count > worst.Count {
			worst = d
		}
	}
	line := worst.First
	if c.format == Taskcluster {
		line = 0
	}
	reason := fmt.Sprintf("none of the %d rows became a job; %d of them: %s", c.rows, worst.Count, worst.Reason)
	if worst.Value != "" {
		reason += fmt.Sprintf(": %q; a time is written as one of %s", worst.Value, TimeForms)
	}
	return c.in.fail(line, 0, nil, reason, c.hint)
}
