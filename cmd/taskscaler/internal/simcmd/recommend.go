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

// RecommendRequest asks for the policy of the smallest objective that keeps the SLOs.
type RecommendRequest struct {
	Setup
	Output
	Config     string
	Objective  string   // cost or instance_hours; empty: cost where the model has a price
	SLO        []string // such as p95_wait<=60s; none: a p95 wait as today's
	Fixed      []string // keys to keep as they are
	Capacities []int
	Train      float64 // the share of the jobs that the search may see; 0: 0.6
	Budget     int     // runs over the training part; 0: 120
	Policy     string  // file for the recommended policy; empty: it stands below the report
}

// MissedError is a search in which no policy kept the SLOs. The report was written.
type MissedError struct {
	Warnings []string
}

// Error says what was missed.
func (e *MissedError) Error() string {
	return "no policy that was tried keeps what was asked for: " + strings.Join(e.Warnings, "; ")
}

// Recommend searches, and writes the trade between the objective and waits, and the policy as TOML. Its errors are those of Run, and
// *MissedError.
func Recommend(ctx context.Context, r RecommendRequest, streams Streams) error {
	if err := r.Output.resolve(Text, JSON, HTML); err != nil {
		return err
	}
	if r.Warmup != 0 {
		return usage("warmup", "a search uses the whole workload: leave it away")
	}
	slo, err := optimise.ParseAssertions(r.SLO)
	if err != nil {
		return &UsageError{Flag: "slo", Err: err}
	}
	scenes, err := r.prepare(&streams, r.Config)
	if err != nil {
		return err
	}
	c := scenes[0]
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
		return fmt.Errorf("the recommended policy is not one that validate accepts, which is a fault of this program: %w", err)
	}
	doc := &report.Comparison{Title: "Recommendation for " + c.name(), Pareto: pareto(found)}
	err := r.write(streams, func(w io.Writer) error {
		if err := writeComparison(w, doc, &r.Output, streams); err != nil || r.Format != Text {
			return err
		}
		if r.Policy == "" {
			_, err := fmt.Fprintf(w, "\n%s", policy.Bytes())
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
		streams.note("this form has no room for the policy itself: give --policy FILE to get it")
	}
	for _, w := range found.Warnings {
		streams.note("warning: %s", w)
	}
	if !found.Met {
		return &MissedError{Warnings: found.Warnings}
	}
	return nil
}

// valid is what validate --fragment says.
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
