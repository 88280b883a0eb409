package simcmd

import (
	"fmt"

	"github.com/taskscaler/taskscaler/pkg/simulate"
	"github.com/taskscaler/taskscaler/pkg/simulate/optimise"
)

// judge holds the results against what was asserted: each figure is its mean over the replicas.
func judge(asserted []optimise.Assertion, results []*simulate.Result) error {
	var failed []optimise.Verdict
	for _, a := range asserted {
		mean := 0.0
		for _, r := range results {
			v, err := optimise.Evaluate(a, r)
			if err != nil {
				return &UsageError{Flag: "assert", Err: err}
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

// served warns about jobs that were left over, and fails where not one was ever served.
func served(streams *Streams, c *scene, r *simulate.Result) error {
	switch {
	case r.Arrived == 0:
		return &UnservedError{Reason: fmt.Sprintf("no job arrives after the warm-up of %s", c.options.Warmup)}
	case r.Waits.Count == 0:
		return &UnservedError{Reason: whyNone(c, r)}
	case r.Censored > 0:
		streams.note("warning: %d of %d jobs were not done when the run ended, and are in no wait", r.Censored, r.Arrived)
	}
	return nil
}

// whyNone says what keeps every job from its start, as far as a run shows.
func whyNone(c *scene, r *simulate.Result) string {
	for _, p := range c.policies {
		if s := p.Settings; s.Preemptive && s.IdleCount == 0 && r.Instances.Created == 0 {
			return "preemptive_mode takes jobs only against free slots, and with idle_count 0 there is never one: set idle_count, or preemptive_mode = false"
		}
	}
	n := r.Instances
	switch {
	case n.Created == 0:
		return "no instance was ever created: the model's cloud refuses (stockout, quota, create_errors), or max_instances leaves no room"
	case n.Died+n.Reclaimed >= n.Created/2 && n.Died+n.Reclaimed > 0:
		return fmt.Sprintf("%d instances were created, and %d went away before a job could start: see boot_failure and spot of the model",
			n.Created, n.Died+n.Reclaimed)
	}
	return fmt.Sprintf("%d instances were created, and none was ready in time: see boot and boot_failure of the model, and instance_deadlines "+
		"of the file", n.Created)
}
