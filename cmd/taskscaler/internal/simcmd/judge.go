package simcmd

import (
	"fmt"

	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/simulate"
	"github.com/taskscaler/taskscaler/pkg/simulate/optimise"
)

// checkTags returns a UsageError for an assertion about a tag that no job has, before anything is run.
func checkTags(asserted []optimise.Assertion, c *scene) error {
	if err := optimise.CheckTags(asserted, c.jobs.tags(c.options.Warmup)); err != nil {
		return &UsageError{Err: err}
	}
	return nil
}

// judge checks the assertions. Each figure is its mean over the replicas.
func judge(asserted []optimise.Assertion, results []*simulate.Result) error {
	var failed []optimise.Verdict
	for _, a := range asserted {
		mean := 0.0
		for _, r := range results {
			v, err := optimise.Evaluate(a, r)
			if err != nil {
				return fmt.Errorf("assertion %s cannot be judged: %s", a, whyAbsent(r))
			}
			mean += v.Value / float64(len(results))
		}
		if !holds(a, mean) {
			failed = append(failed, optimise.Verdict{Assertion: a, Value: mean})
		}
	}
	if len(failed) > 0 {
		return &AssertionError{Failed: failed}
	}
	return nil
}

// whyAbsent says why a result lacks a figure that reports can have.
func whyAbsent(r *simulate.Result) string {
	if !r.Waits.Exact {
		return "there are too many jobs to keep their waits by tag and hour; simulate fewer of them, with --from and --to"
	}
	return "no job that it is about has started"
}

func holds(a optimise.Assertion, v float64) bool {
	switch a.Operator {
	case "<":
		return v < a.Limit
	case "<=":
		return v <= a.Limit
	case ">":
		return v > a.Limit
	}
	return v >= a.Limit
}

// served returns an UnservedError if no job was served. It prints a warning if some jobs had not ended at the end of the run.
func served(streams *Streams, c *scene, r *simulate.Result) error {
	switch {
	case r.Arrived == 0:
		return &UnservedError{Reason: fmt.Sprintf("no job arrives after the warm-up of %s", c.options.Warmup)}
	case r.Waits.Count == 0:
		return &UnservedError{Reason: whyNone(c, r)}
	case r.Censored > 0:
		streams.note("warning: %d of %d jobs had not ended when the run ended; the waits leave them out", r.Censored, r.Arrived)
	}
	return nil
}

// whyNone says why no job started, as far as the run shows it.
func whyNone(c *scene, r *simulate.Result) string {
	for _, p := range c.policies {
		if s := p.Settings; s.Preemptive && s.IdleCount == 0 && r.Instances.Created == 0 {
			return "preemptive_mode accepts a job only if a slot is free, and with idle_count = 0 no slot is ever free: set idle_count, or preemptive_mode = false"
		}
	}
	n := r.Instances
	switch {
	case n.Created == 0:
		return "no instance was ever created: check stockout, quota and create_errors of the model, and max_instances of the configuration"
	case n.Died+n.Reclaimed >= n.Created/2 && n.Died+n.Reclaimed > 0:
		return fmt.Sprintf("%s created, and %d of them failed or were reclaimed before a job could start: check boot_failure and spot of the model",
			words.Plural(n.Created, "instance was", "instances were"), n.Died+n.Reclaimed)
	}
	return fmt.Sprintf("%s created, and none was ready in time: check boot and boot_failure of the model, and instance_deadlines "+
		"of the configuration", words.Plural(n.Created, "instance was", "instances were"))
}
