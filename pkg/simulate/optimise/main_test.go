package optimise

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/simulate"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// monday is a start whose zone has a name.
func monday() time.Time { return time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) }

// poissonJobs are n jobs; rate gives the arrivals a second at a time.
func poissonJobs(seed uint64, n int, most float64, rate func(at time.Duration) float64, mean float64) *simulate.Jobs {
	r := rand.New(rand.NewPCG(seed, 9))
	j := &simulate.Jobs{}
	for at := 0.0; len(j.List) < n; {
		at += r.ExpFloat64() / most
		when := time.Duration(at * 1e9)
		if rate == nil || r.Float64()*most < rate(when) {
			j.List = append(j.List, simulate.Job{Arrival: when, Duration: time.Duration(math.Round(r.ExpFloat64()*mean*1e3)) * time.Millisecond})
		}
	}
	return j
}

// smallProblem is a steady stream of jobs on machines that take a minute to boot and serve one job each.
func smallProblem(jobs int) Problem {
	return Problem{
		Options: simulate.Options{
			Group: simulate.Group{CapacityPerInstance: 1, MaxUseCount: 1, MaxInstances: 100, Throttle: policy.Throttle{Limit: -1}},
			Start: monday(), Seed: 7, Instant: true, Cloud: cloudmodel.Config{Boot: cloudmodel.Constant(time.Minute)},
		},
		Today: []policy.Policy{{Settings: policy.Settings{IdleCount: 1, IdleTime: 20 * time.Minute}}},
		Jobs:  poissonJobs(3, jobs, 0.05, nil, 120), Budget: 40,
	}
}

func assertions(t testing.TB, texts ...string) []Assertion {
	t.Helper()
	list, err := ParseAssertions(texts)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// size is a size of a test, and a smaller one under the race detector, which is ten times slower.
func size(normal, race int) int {
	if raceEnabled {
		return race
	}
	return normal
}
