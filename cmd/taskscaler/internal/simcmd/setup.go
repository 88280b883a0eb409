package simcmd

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/simulate"
	"github.com/taskscaler/taskscaler/pkg/simulate/model"
	"github.com/taskscaler/taskscaler/pkg/simulate/report"
)

// Setup is what is simulated, as flags say it.
type Setup struct {
	Runner    string // name, id or position; empty: the only autoscaling one
	Model     string // file; empty: a perfect cloud
	Shape     string // of the model; empty: what the model chooses
	Jobs      Jobs
	Seed      uint64
	Warmup    time.Duration
	Start     string // the wall clock at the first arrival; empty: the log's own, else DefaultStart
	Timezone  string // of times without a zone, of hours of the day, and of policies that name none
	Check     bool   // check every invariant at every step
	Instances int    // the most that the cloud has where neither file nor model says; 0: MostInstances
}

// DefaultStart is when a workload without a calendar begins: a Monday, at midnight in the chosen time zone.
const DefaultStart = "2026-01-05"

// MostInstances bounds a cloud that neither the configuration nor the model bounds, so that a slip of the pen ends before the memory does.
const MostInstances = 1_000_000

// Streams are where a command writes.
type Streams struct {
	Out, Err io.Writer
	// OutWidth is the width of the terminal that Out is, 0 when it is none; ErrTerminal is whether Err is one, and gets a progress bar.
	OutWidth    int
	ErrTerminal bool
}

func (s *Streams) note(format string, args ...any) {
	_, _ = fmt.Fprintf(s.Err, "taskscaler: "+format+"\n", args...)
}

// scene is everything that a run needs.
type scene struct {
	runner   config.Runner
	options  simulate.Options
	policies []policy.Policy
	config   report.Source
	model    report.Source
	jobs     *source
}

// prepare reads everything. The workload is read once, whatever the number of configurations.
func (s *Setup) prepare(streams *Streams, paths ...string) ([]*scene, error) {
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil || s.Timezone == "Local" {
		return nil, usage("timezone", fmt.Sprintf("says %q, which is no time zone: give one of the IANA database, such as Europe/Berlin", s.Timezone))
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
		return nil, usage("shape", "names a shape of a model: give the model with --model")
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

// name is what a report calls the runner.
func (c *scene) name() string {
	if c.runner.Name != "" {
		return c.runner.Name
	}
	return c.runner.Label()
}

// scene reads one configuration.
func (s *Setup) scene(streams *Streams, path string, zone *time.Location) (*scene, error) {
	if path == "" {
		return nil, usage("config", "is needed: the config.toml whose policies are to be simulated")
	}
	file, found, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	if err := found.Err(); err != nil {
		return nil, cannotUse("configuration", err)
	}
	for _, p := range found.Warnings() {
		streams.note("warning: %s", p.Error())
	}
	runners, err := file.Select(s.Runner)
	switch {
	case err != nil:
		return nil, &UsageError{Flag: "runner", Err: err}
	case len(runners) > 1:
		return nil, usage("runner", fmt.Sprintf("is needed: %s has %d autoscaling runners, and one is simulated at a time", path, len(runners)))
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
	// The file was compiled with this machine's zone for policies that name none. A report must not depend on where it was made.
	if c.options.Group.Policies, err = policy.Compile(c.policies, zone); err != nil {
		return nil, cannotUse("configuration", err)
	}
	return c, nil
}

func cannotUse(what string, err error) error {
	return fmt.Errorf("the %s cannot be used:\n%w", what, err)
}

// smaller is the tighter of two limits of which 0 is none.
func smaller(a, b int) int {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// checkInterval is the file's check_interval as it is written. Where it is absent or 0 the manager takes GitLab Runner's default of 3 s, but a
// simulation offers jobs the instant they arrive.
func checkInterval(text string) time.Duration {
	var head struct {
		CheckInterval int64 `toml:"check_interval"`
	}
	if err := toml.Unmarshal([]byte(text), &head); err != nil { // it is valid: pkg/config has read it
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
