package simcmd

import (
	"fmt"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/simulate"
	"github.com/taskscaler/taskscaler/pkg/simulate/report"
	"github.com/taskscaler/taskscaler/pkg/simulate/workload"
)

// Jobs says which jobs are simulated.
type Jobs struct {
	Workload string // a file, or the spec of a synthetic workload
	Repeat   int    // how many times the log is played, one after the other; below 2: once
	Format   string
	Columns  string // field=column,…
	KeepZero bool
	Tags     []string
	Runners  []string
	Names    []string
	From, To string // a time, or a duration from the first arrival
	Scale    string
}

// source makes the workload of each run.
type source struct {
	about report.Workload
	start time.Time // time of the wall clock at arrival 0
	make  func(seed uint64) simulate.Workload
	count int // approximate number of jobs
	fixed bool
	jobs  *simulate.Jobs // those of a log; nil: the workload is made from a spec
	seed  uint64
	notes []string
}

func (j *Jobs) open(streams *Streams, seed uint64, start string, zone *time.Location) (*source, error) {
	if j.Workload == "" {
		return nil, usage("workload", "is required: give a log of jobs, or a spec such as poisson:rate=0.05/s,duration=exp:600s,jobs=100000")
	}
	if j.Repeat < 0 {
		return nil, usage("repeat", "must not be negative")
	}
	var err error
	s := &source{about: report.Workload{Name: j.Workload, Filters: j.filters()}, seed: seed}
	explicit := start != ""
	if !explicit {
		start = DefaultStart
	} else {
		s.about.Filters = append(s.about.Filters, "start "+start)
	}
	if s.start, err = parseTime(start, zone); err != nil {
		return nil, &UsageError{Flag: "start", Err: err}
	}
	if workload.IsSpec(j.Workload) {
		err = s.spec(j, seed)
	} else {
		err = s.log(j, seed, zone, explicit)
	}
	if err != nil {
		return nil, err
	}
	for _, n := range s.notes {
		streams.note("%s", n)
	}
	return s, nil
}

// spec prepares synthetic jobs.
func (s *source) spec(j *Jobs, seed uint64) error {
	if unused := j.logOnly(); unused != "" {
		return usage(unused, "is for logs: remove it, or change the spec instead")
	}
	spec, err := workload.Spec(j.Workload, seed, s.start)
	if err != nil {
		return &UsageError{Flag: "workload", Err: err}
	}
	if j.Repeat > 1 {
		return usage("repeat", "is for logs: remove it, and set more jobs in the spec")
	}
	s.about.Format, s.count = "spec", spec.Expected()
	s.make = func(seed uint64) simulate.Workload { return spec.Reseed(seed) }
	return nil
}

// log reads a log of jobs from a file.
func (s *source) log(j *Jobs, seed uint64, zone *time.Location, explicit bool) error {
	o, err := j.options(seed, zone)
	if err != nil {
		return err
	}
	read, err := workload.Open(j.Workload, o)
	if err != nil {
		return err
	}
	if !explicit && !read.Origin.IsZero() {
		s.start = read.Origin.In(zone)
	}
	s.about.Format, s.about.Read, s.count, s.fixed = read.Format, read.Rows, len(read.Jobs.List)*max(j.Repeat, 1), true
	s.jobs = read.Jobs
	for _, d := range read.Dropped {
		s.about.Dropped = append(s.about.Dropped, report.Dropped{Reason: d.Reason, Rows: d.Count})
	}
	s.notes = read.Notes()
	s.make = func(uint64) simulate.Workload {
		if j.Repeat > 1 {
			return read.Repeat(j.Repeat)
		}
		return read.Jobs.Again()
	}
	return nil
}

// logOnly returns the first set flag that only applies to logs, or "".
func (j *Jobs) logOnly() string {
	for _, f := range []struct {
		flag string
		set  bool
	}{{"format-in", j.Format != ""}, {"columns", j.Columns != ""}, {"keep-zero", j.KeepZero}, {"tag", len(j.Tags) > 0},
		{"job-runner", len(j.Runners) > 0}, {"job-name", len(j.Names) > 0}, {"from", j.From != ""}, {"to", j.To != ""}, {"scale", j.Scale != ""}} {
		if f.set {
			return f.flag
		}
	}
	return ""
}

func (j *Jobs) options(seed uint64, zone *time.Location) (workload.Options, error) {
	o := workload.Options{Format: j.Format, KeepZero: j.KeepZero, Tags: j.Tags, Runners: j.Runners, Names: j.Names, Location: zone, Seed: seed}
	var err error
	if o.Columns, err = workload.ParseColumns(j.Columns); err != nil {
		return o, &UsageError{Flag: "columns", Err: err}
	}
	if j.Scale != "" {
		if o.Scale, err = workload.ParseScale(j.Scale); err != nil {
			return o, &UsageError{Flag: "scale", Err: err}
		}
	}
	from, to, err := j.bounds(zone)
	if err != nil {
		return o, err
	}
	o.From, o.To, o.Skip = from.at, to.at, from.after
	if to.set && to.at.IsZero() {
		if o.Take = to.after - from.after; o.Take <= 0 {
			return o, usage("to", fmt.Sprintf("is %s, which is not after --from (%s): give a later end", j.To, from.after))
		}
	}
	if err := o.Validate(); err != nil {
		return o, &UsageError{Err: err}
	}
	return o, nil
}

// bound is the beginning or the end of the simulated span: a time, or a duration from the first arrival.
type bound struct {
	set   bool
	at    time.Time
	after time.Duration
}

func (j *Jobs) bounds(zone *time.Location) (from, to bound, err error) {
	if from, err = parseBound("from", j.From, zone); err != nil {
		return from, to, err
	}
	if to, err = parseBound("to", j.To, zone); err != nil {
		return from, to, err
	}
	if from.set && to.set && from.at.IsZero() != to.at.IsZero() {
		return from, to, usage("to", "and --from must both be times, or both be durations from the first arrival")
	}
	return from, to, nil
}

func parseBound(flag, text string, zone *time.Location) (b bound, err error) {
	if text == "" {
		return b, nil
	}
	b.set = true
	if d, err := time.ParseDuration(text); err == nil {
		if d < 0 {
			return b, usage(flag, "must not be negative")
		}
		b.after = d
		return b, nil
	}
	if b.at, err = parseTime(text, zone); err != nil {
		return b, &UsageError{Flag: flag, Err: fmt.Errorf("%w, or a duration from the first arrival such as 48h", err)}
	}
	return b, nil
}

// parseTime reads a time in one of the usual forms. One without a zone is in the given zone.
func parseTime(text string, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t.In(zone), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write 2026-01-05, 2026-01-05T08:30 or 2026-01-05T08:30:00Z", text)
}

// filters returns the choice of jobs, for the report.
func (j *Jobs) filters() (list []string) {
	add := func(name string, values ...string) {
		if text := strings.Join(values, ","); text != "" {
			list = append(list, name+" "+text)
		}
	}
	add("tag", j.Tags...)
	add("runner", j.Runners...)
	add("name", j.Names...)
	add("from", j.From)
	add("to", j.To)
	add("scale", j.Scale)
	if j.Repeat > 1 {
		add("repeat", fmt.Sprint(j.Repeat))
	}
	return list
}

// tags returns the tags of the jobs that arrive after the warm-up.
func (s *source) tags(warmup time.Duration) []string {
	if s.jobs == nil {
		return s.make(s.seed).Tags()
	}
	names, found := s.jobs.Tags(), map[int]bool{}
	var out []string
	for _, j := range s.jobs.List {
		if !found[j.Tag] && (j.Arrival >= warmup || s.count > len(s.jobs.List)) { // a log that is repeated is longer
			found[j.Tag] = true
			out = append(out, names[j.Tag])
		}
	}
	return out
}

// list returns all jobs in memory, for callers that read them more than once.
func (s *source) list() *simulate.Jobs {
	w := s.make(s.seed)
	if j, ok := w.(*simulate.Jobs); ok {
		return j
	}
	out := &simulate.Jobs{Names: w.Tags()}
	for {
		j, ok := w.Next()
		if !ok {
			return out
		}
		out.List = append(out.List, j)
	}
}
