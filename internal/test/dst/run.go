package dst

import (
	"cmp"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a run.
type Options struct {
	Seeds     int                   // schedules to run, small worlds included
	After     uint64                // the random worlds have the seeds after this one, and there are no small worlds; 0: a run from the beginning
	Workers   int                   // 0: one for each processor
	StopFirst bool                  // stop at the first violation
	Record    int                   // one in this many schedules is recorded, replayed, and resumed from snapshots; 0: journalEvery
	Progress  func(done, total int) // called from time to time, by one goroutine; nil: no progress
	Hung      func(seed uint64)     // a schedule has not returned for HungAfter: the core hangs in a step; nil: no check

	tune func(*runOptions) // for tests: change each schedule
}

// Failure is a schedule that broke an invariant, with its shrunk trace.
type Failure struct {
	Seed      uint64
	Violation Violation
	Trace     []string // of the shrunk schedule
	Shrunk    Violation
	Faults    int // number of faults in the shrunk schedule
	Jobs      int // number of callers in the shrunk schedule
}

// HungAfter is how long a schedule may take. Typically it takes milliseconds.
const HungAfter = time.Minute

// Report is the result of a run.
type Report struct {
	Schedules   int
	Steps       int64
	Violations  int
	Failures    []Failure // the first ones, shrunk
	Others      []uint64  // seeds of the other ones
	SmallWorlds int       // small worlds that were crashed at every point of every commit
	Small       int       // schedules of these
	SmallMost   int       // commits of the longest of them
	Table       string    // the coverage table
	Short       []string  // what was not reached often enough
	Took        time.Duration
}

// Shares of a run. One in journalEvery schedules is recorded and replayed. Small worlds take at most half of a run, and at most smallEnough
// of them are crashed everywhere.
const (
	journalEvery = 32
	smallEnough  = 220
	smallCommits = 40
	maxFailures  = 12
)

// Run plays n schedules: small worlds that are crashed at every point of every commit, and random worlds.
func Run(o Options) Report {
	r := &runner{o: o, began: time.Now()}
	if r.o.Workers <= 0 {
		r.o.Workers = runtime.GOMAXPROCS(0)
	}
	for range r.o.Workers {
		r.stages = append(r.stages, &stage{})
	}
	ended := make(chan struct{})
	var told sync.WaitGroup
	told.Go(func() { r.tell(ended) })
	r.plan()
	r.work()
	close(ended)
	told.Wait()
	return r.report()
}

// task is one schedule, or all schedules of a small world.
type task struct {
	seed    uint64
	commits int // small worlds: crash at each of them; 0: a random world
}

type runner struct {
	o      Options
	began  time.Time
	tasks  []task
	small  int
	worlds int
	most   int
	done   atomic.Int64
	stages []*stage
	stop   atomic.Bool

	mu     sync.Mutex
	cover  coverage
	steps  int64
	count  int
	broken []outcome
}

func (r *runner) options(seed uint64) runOptions {
	o := optionsOf(seed)
	o.journal = seed%uint64(cmp.Or(r.o.Record, journalEvery)) == 0
	if r.o.tune != nil {
		r.o.tune(&o)
	}
	return o
}

// plan chooses the small worlds, in the order of their numbers, and adds random worlds up to the number of schedules. A small world is
// taken only if all its schedules fit into half of the run.
func (r *runner) plan() {
	budget := r.o.Seeds / 2
	if r.o.After > 0 {
		budget = 0
	}
	for from := 1; budget-r.small > 8 && r.worlds < smallEnough && from < 100000; from += 64 {
		commits := r.measure(from, 64)
		for n, c := range commits {
			need := c*len(smallPoints) + 1
			if c == 0 || c > smallCommits || need > budget-r.small || r.worlds >= smallEnough {
				continue
			}
			r.small += need
			r.worlds++
			r.most = max(r.most, c)
			r.tasks = append(r.tasks, task{seed: smallSeed(from+n, 0, 0), commits: c})
		}
		if r.o.Seeds < 200 && from > 1 {
			break
		}
	}
	for n := range r.o.Seeds - r.small {
		r.tasks = append(r.tasks, task{seed: r.o.After + uint64(n+1)})
	}
}

// measure counts the commits of small worlds when nothing crashes.
func (r *runner) measure(from, n int) []int {
	out := make([]int, n)
	r.each(n, func(s *stage, k int) {
		o := r.options(smallSeed(from+k, 0, 0))
		o.journal = false
		out[k] = s.play(o).commits
	})
	return out
}

// each calls f for 0 to n−1, on all workers.
func (r *runner) each(n int, f func(s *stage, k int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for _, s := range r.stages {
		wg.Go(func() {
			for k := int(next.Add(1)) - 1; k < n && !r.stop.Load(); k = int(next.Add(1)) - 1 {
				f(s, k)
			}
		})
	}
	wg.Wait()
}

func (r *runner) work() {
	r.each(len(r.tasks), func(s *stage, k int) {
		t := r.tasks[k]
		r.one(s, t.seed)
		world := int(t.seed &^ smallBit >> worldShift)
		for c := 1; c <= t.commits; c++ {
			for p := range smallPoints {
				r.one(s, smallSeed(world, c, p))
			}
		}
	})
}

// one plays one schedule and counts it.
func (r *runner) one(s *stage, seed uint64) {
	if r.stop.Load() {
		return
	}
	o := r.options(seed)
	out := s.play(o)
	if o.journal && out.broken == nil {
		if again := s.play(o); again.broken == nil && (again.digest != out.digest || again.steps != out.steps) {
			out.broken = &Violation{Invariant: "10", Step: out.steps, What: "the same seed gives different batches the second time"}
		}
	}
	out.seed = seed
	r.done.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	r.steps += int64(out.steps)
	r.cover.add(&out.cover)
	if out.broken != nil {
		r.broken = append(r.broken, out)
		if r.o.StopFirst {
			r.stop.Store(true)
		}
	}
}

// tell reports the progress, and a schedule that does not return.
func (r *runner) tell(ended <-chan struct{}) {
	dog := watchdog{workers: make([]watched, len(r.stages))}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		if r.o.Progress != nil {
			r.o.Progress(int(r.done.Load()), r.o.Seeds)
		}
		for n, s := range r.stages {
			if dog.look(n, s.since.Load()) && r.o.Hung != nil {
				r.o.Hung(s.seed.Load())
			}
		}
	}
}

// report makes the report and shrinks the first failures.
func (r *runner) report() Report {
	out := Report{Schedules: r.count, Steps: r.steps, Violations: len(r.broken), SmallWorlds: r.worlds, Small: r.small, SmallMost: r.most,
		Table: r.cover.table(r.count)}
	if r.count >= gateFrom && !r.stop.Load() {
		for _, s := range short(r.cover.rows(r.count)) {
			out.Short = append(out.Short, shortLine(s))
		}
		if r.count >= fullFrom && r.worlds < smallWanted {
			out.Short = append(out.Short, "fewer than 200 small worlds were crashed at every point")
		}
	}
	sortOutcomes(r.broken)
	most := maxFailures
	if r.o.StopFirst {
		most = 1
	}
	s := &stage{}
	for n := 0; n < len(r.broken) && n < most; n++ {
		out.Failures = append(out.Failures, r.explain(s, r.broken[n]))
	}
	for n := len(out.Failures); n < len(r.broken); n++ {
		out.Others = append(out.Others, r.broken[n].seed)
	}
	out.Took = time.Since(r.began)
	return out
}

// explain shrinks a failing schedule and traces the result.
func (r *runner) explain(s *stage, bad outcome) Failure {
	o, small := shrink(s, r.options(bad.seed), bad)
	o.trace = true
	traced := s.play(o)
	f := Failure{Seed: bad.seed, Violation: *bad.broken, Shrunk: *small.broken, Trace: traced.lines, Faults: len(small.occurred),
		Jobs: small.jobs - len(o.dropJobs)}
	return f
}

// Replay plays one schedule. It returns the whole trace, the violation or nil, and the number of steps. Snapshots round the tokens of the throttle,
// so a schedule can go on differently when it is recorded. It is therefore recorded only if it shows no violation otherwise.
func Replay(seed uint64) (trace []string, broken *Violation, steps int) {
	o := optionsOf(seed)
	o.trace = true
	s := &stage{}
	out := s.play(o)
	if out.broken == nil {
		o.journal = true
		out = s.play(o)
	}
	return out.lines, out.broken, out.steps
}
