package simcmd

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/simulate"
	"github.com/taskscaler/taskscaler/pkg/simulate/model"
	"github.com/taskscaler/taskscaler/pkg/simulate/report"
)

// Setup says what is simulated. Its fields are values of flags.
type Setup struct {
	Runner    string // name, id or position; empty: the only autoscaling runner
	Model     string // file; empty: instances boot in no time, never fail and cost nothing
	Shape     string // of the model; empty: the shape that the model names
	Jobs      Jobs
	Seed      uint64
	Warmup    time.Duration
	Start     string // time of the wall clock at the first arrival; empty: the time in the log, else DefaultStart
	Timezone  string // used for times without a zone, for hours of the day, and for policies without a timezone
	Check     bool   // check every invariant at every step
	Instances int    // maximum size of the cloud if neither the file nor the model sets one; 0: MostInstances
}

// DefaultStart is when a workload without calendar dates begins: a Monday, at midnight in the chosen time zone.
const DefaultStart = "2026-01-05"

// MostInstances is the maximum size of the cloud if neither the configuration nor the model sets one. So a typing error does not use up all
// memory.
const MostInstances = 1_000_000

// Streams holds the writers of a command.
type Streams struct {
	Out, Err io.Writer
	Bar      io.Writer // a terminal for a progress bar; nil: none
	Screen   io.Writer // Out, if it is a terminal that shows colours; else nil
	Width    int       // columns of Screen
}

// note prints one line, whatever the values contain.
func (s *Streams) note(format string, args ...any) {
	_, _ = safetext.Fprintf(s.Err, "taskscaler: "+format+"\n", args...)
}

// scene holds everything that a run needs.
type scene struct {
	runner   config.Runner
	options  simulate.Options
	policies []policy.Policy
	config   report.Source
	model    report.Source
	jobs     *source
}

// prepare reads all files. It reads the workload once for all configurations.
func (s *Setup) prepare(streams *Streams, paths ...string) ([]*scene, error) {
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil || s.Timezone == "Local" {
		return nil, usage("timezone", fmt.Sprintf("is %q, which is not a time zone: use a name of the IANA database, such as Europe/Berlin", s.Timezone))
	}
	cloud, text := &model.Model{}, ""
	if s.Model != "" {
		if cloud, err = model.Read(s.Model, s.Shape); err != nil {
			return nil, cannotUse("model", err)
		}
		if text, err = readText(s.Model); err != nil {
			return nil, err
		}
	} else if s.Shape != "" {
		return nil, usage("shape", "chooses a shape of a model: give the model with --model")
	}
	all := make([]*scene, len(paths))
	var faults []error
	for i, path := range paths {
		all[i], err = s.scene(streams, path, zone)
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	jobs, err := s.Jobs.open(streams, s.Seed, s.Start, zone)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		cloud.Apply(&c.options)
		c.options.Start, c.jobs, c.model = jobs.start, jobs, report.Source{Path: s.Model, Text: text}
		if c.options.Cloud.MaxSize == 0 && c.options.Group.MaxInstances == 0 {
			c.options.Group.ProviderMax = MostInstances
			if s.Instances > 0 {
				c.options.Group.ProviderMax = s.Instances
			}
		}
		if err := c.options.Validate(); err != nil {
			return nil, &UsageError{Err: err}
		}
	}
	return all, nil
}

// name returns the name of the runner for a report.
func (c *scene) name() string {
	if c.runner.Name != "" {
		return c.runner.Name
	}
	return c.runner.Label()
}

// scene reads one configuration.
func (s *Setup) scene(streams *Streams, path string, zone *time.Location) (*scene, error) {
	if path == "" {
		return nil, usage("config", "is required: give the config.toml whose policies you want to simulate")
	}
	file, found, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	if err := found.Err(); err != nil {
		return nil, cannotUse("configuration", err)
	}
	for _, p := range found.Warnings() {
		streams.note("warning: %s", safetext.Lines(p.Error()))
	}
	runners, err := file.Select(s.Runner)
	switch {
	case err != nil:
		return nil, &UsageError{Flag: "runner", Err: err}
	case len(runners) > 1:
		return nil, usage("runner", fmt.Sprintf("is required, because %s has %d autoscaling runners: name the one to simulate", path, len(runners)))
	}
	text, err := readText(path)
	if err != nil {
		return nil, err
	}
	c := &scene{runner: runners[0], policies: runners[0].Autoscaler.Policies, config: report.Source{Path: path, Text: text}}
	a := c.runner.Autoscaler
	c.options = simulate.Options{
		Group: model.Group(a), Seed: s.Seed, UpdateInterval: a.UpdateInterval, UpdateIntervalWhenExpecting: a.UpdateIntervalWhenExpecting,
		Concurrent: smaller(file.Concurrent, c.runner.Limit), CheckInterval: checkInterval(text), Warmup: s.Warmup, Check: s.Check,
	}
	// config.Load compiled policies without a timezone with the zone of this computer. A report must not depend on where it was made.
	if c.options.Group.Policies, err = policy.Compile(c.policies, zone); err != nil {
		return nil, cannotUse("configuration", err)
	}
	return c, nil
}

func cannotUse(what string, err error) error {
	return fmt.Errorf("the %s cannot be used:\n%w", what, err)
}

// smaller returns the smaller of two limits; 0 means no limit.
func smaller(a, b int) int {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// checkInterval returns check_interval as the file has it. If it is absent or 0, the manager uses GitLab Runner's default of 3 s; a simulation
// offers each job when it arrives.
func checkInterval(text string) time.Duration {
	var head struct {
		CheckInterval int64 `toml:"check_interval"`
	}
	if err := toml.Unmarshal([]byte(text), &head); err != nil { // cannot happen: pkg/config has read the file before
		return 0
	}
	return time.Duration(min(head.CheckInterval, math.MaxInt32)) * time.Second
}

func readText(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return string(data), nil
}
