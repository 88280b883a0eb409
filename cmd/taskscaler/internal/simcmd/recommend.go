package simcmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/simulate/optimise"
	"github.com/taskscaler/taskscaler/pkg/simulate/report"
)

// RecommendRequest asks for the policy with the smallest objective among those that keep the SLOs.
type RecommendRequest struct {
	Setup
	Output
	Config     string
	Objective  string   // cost or instance_hours; empty: cost if the model has a price, else instance_hours
	SLO        []string // such as p95_wait<=60s; empty: the p95 wait of the current configuration
	Fixed      []string // keys of the policy that the search does not change
	Capacities []int
	Train      float64 // the share of the jobs that the search uses; 0: 0.6
	Budget     int     // number of runs over the training part; 0: 120
	Policy     string  // file for the recommended policy; empty: the text report ends with it
}

// MissedError reports a search in which no policy kept the SLOs. The report was written before.
type MissedError struct {
	Warnings []string
}

// Error returns what was missed.
func (e *MissedError) Error() string {
	return "no tried policy keeps the SLOs: " + strings.Join(e.Warnings, "; ")
}

// Recommend searches for the policy. It writes the trade-off between the objective and the waits, and the policy as TOML. It returns the
// same errors as Run, and *MissedError.
func Recommend(ctx context.Context, r RecommendRequest, streams Streams) error {
	if err := r.Output.resolve(Text, JSON, HTML); err != nil {
		return err
	}
	if r.Warmup != 0 {
		return usage("warmup", "cannot be used here, because a search uses the whole workload: remove it")
	}
	slo, err := optimise.ParseAssertions(r.SLO)
	if err != nil {
		return &UsageError{Err: err}
	}
	scenes, err := r.prepare(&streams, r.Config)
	if err != nil {
		return err
	}
	c := scenes[0]
	if err := checkTags(slo, c); err != nil {
		return err
	}
	p := optimise.Problem{Options: c.options, Today: c.policies, Jobs: c.jobs.list(), Objective: r.Objective, SLO: slo, Capacities: r.Capacities,
		Train: r.Train, Budget: r.Budget, Workers: runtime.GOMAXPROCS(0)}
	for _, k := range r.Fixed {
		p.Fixed = append(p.Fixed, optimise.Key(k))
	}
	b := newBar(&streams, "searching", 100)
	p.Progress = func(at optimise.Progress) { b.set(int(100 * at.Done / max(at.Budget, 1))) }
	found, err := optimise.Recommend(ctx, p)
	b.end()
	if err != nil {
		return stopped(ctx, err)
	}
	return r.deliver(&streams, c, found)
}

// deliver writes the report and the policy.
func (r *RecommendRequest) deliver(streams *Streams, c *scene, found *optimise.Recommendation) error {
	var policy bytes.Buffer
	if err := found.TOML(&policy, c.jobs.about.Name); err != nil {
		return err
	}
	if err := valid(policy.Bytes()); err != nil {
		return fmt.Errorf("the recommended policy is not valid, which is a bug of taskscaler: please report it: %w", err)
	}
	doc := &report.Comparison{Title: "Recommendation for " + c.name(), Pareto: pareto(found)}
	err := r.write(streams, func(w io.Writer) error {
		if err := writeComparison(w, doc, &r.Output, streams); err != nil || r.Format != Text {
			return err
		}
		if r.Policy == "" {
			_, err := io.WriteString(w, "\n"+policy.String())
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	if r.Policy != "" {
		if err := os.WriteFile(r.Policy, policy.Bytes(), 0o644); err != nil {
			return fmt.Errorf("write the policy: %w", err)
		}
		streams.note("the policy is in %s", r.Policy)
	}
	if r.Policy == "" && r.Format != Text {
		streams.note("a report as %s does not contain the policy itself: give --policy FILE to write it to a file", r.Format)
	}
	for _, w := range found.Warnings {
		streams.note("warning: %s", w)
	}
	if !found.Met {
		return &MissedError{Warnings: found.Warnings}
	}
	return nil
}

// valid checks a policy as taskscaler validate --fragment does.
func valid(policy []byte) error {
	var faults []error
	for _, f := range config.ValidateFragment("policy.toml", policy).Faults() {
		faults = append(faults, f)
	}
	return errors.Join(faults...)
}

func pareto(found *optimise.Recommendation) *report.Pareto {
	p := &report.Pareto{CostName: strings.ReplaceAll(found.Objective, "_", "-")}
	for _, x := range found.Points {
		p.Points = append(p.Points, report.Point{Name: x.Name, Cost: x.Train.Objective, P95Wait: x.Train.P95Wait, Today: x.Today, Chosen: x.Chosen})
	}
	return p
}
