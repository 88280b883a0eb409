package optimise

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/scaler"
	"github.com/taskscaler/taskscaler/pkg/simulate"
	"github.com/taskscaler/taskscaler/pkg/simulate/workload"
)

// The traces of Firefox CI, and how a backtest over them is bounded by default. TASKSCALER_TRACES=full runs everything.
const (
	tLinux  = "firefox-ci-t-linux-large.dat"
	bLinux  = "firefox-ci-b-linux.dat"
	mobileB = "firefox-ci-mobile-b-linux.dat"
)

func trace(t testing.TB, name string) *simulate.Jobs {
	t.Helper()
	path := filepath.Join("..", "..", "..", "..", "shared", "traces", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the trace %s is not beside this module (%v): nothing was compared with it", name, err)
	}
	l, err := workload.Open(path, workload.Options{Format: workload.Taskcluster})
	if err != nil {
		t.Fatal(err)
	}
	return l.Jobs
}

// traceProblem is the reference's setting in our terms: the same cap, boot and reuse, a job an instance at a time, and changes that are known
// at once.
func traceProblem(jobs *simulate.Jobs, budget int) Problem {
	idle := asPublished().Idle
	return Problem{
		Options: simulate.Options{
			Core:  scaler.Config{Capacity: 1, MaxInstances: 1000, Throttle: policy.Throttle{Limit: -1}},
			Start: time.Date(2020, 8, 17, 0, 0, 0, 0, time.UTC), Seed: 1, Instant: true,
			Cloud: cloudmodel.Config{Boot: cloudmodel.Constant(20 * time.Second)},
		},
		Today: []policy.Policy{{Settings: policy.Settings{IdleTime: idle}}}, Jobs: jobs, Budget: budget,
		Fixed: []Key{KeyMaxInstances, KeyThrottle, KeyCapacity}, Train: 0.6, Slack: 0.15,
	}
}

// against runs a backtest against a reference: the promise that each split searches for is "no longer than the reference on the training part".
func against(t *testing.T, ref reference, p Problem, splits int) *Backtested {
	t.Helper()
	b, err := Backtest(context.Background(), p, splits, func(p *Problem, train *simulate.Jobs) error {
		o := ref.play(train.List)
		a, err := ParseAssertion(fmt.Sprintf("mean_wait<=%fs", o.mean()))
		p.SLO = []Assertion{a}
		return err
	}, func(rest *simulate.Jobs) (Rival, error) {
		o := ref.play(rest.List)
		return Rival{MeanWait: o.mean(), InstanceHours: o.Hours}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range b.Splits {
		f := s.Recommendation.Holdout.Chosen
		t.Logf("split %d: train %d, rest %d jobs: mean wait %.2f s (reference %.2f), %.0f instance-hours (reference %.0f, %+.1f %%): %s", i+1,
			s.Recommendation.TrainJobs, f.Jobs, f.MeanWait, s.Rival.MeanWait, f.InstanceHours, s.Rival.InstanceHours, s.Hours*100,
			s.Recommendation.Best().Name)
	}
	t.Logf("over %d splits, chosen − reference: mean wait %+.2f s (95 %%: %+.2f … %+.2f), instance-hours %+.1f %% (%+.1f … %+.1f)", splits,
		b.Wait.Mean, b.Wait.Low, b.Wait.High, b.Hours.Mean*100, b.Hours.Low*100, b.Hours.High*100)
	return b
}

func TestTraces(t *testing.T) {
	full := os.Getenv("TASKSCALER_TRACES") == "full"
	for _, c := range []struct {
		name            string
		budget          int
		splits, bounded int
	}{{tLinux, 60, 5, 0}, {bLinux, 80, 5, 1}, {mobileB, 120, 5, 5}} {
		t.Run(c.name, func(t *testing.T) {
			splits, budget := c.bounded, c.budget/2
			if full {
				splits, budget = c.splits, c.budget
			}
			if splits == 0 || testing.Short() {
				t.Skip("this trace takes minutes: set TASKSCALER_TRACES=full")
			}
			p := traceProblem(trace(t, c.name), budget)
			for _, pack := range []bool{false, true} {
				ref := asPublished()
				ref.Pack = pack
				if pack {
					ref.Loop = 0
				}
				against(t, ref, p, splits)
			}
		})
	}
}
