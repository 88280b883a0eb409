package dst

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

var underRace bool

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seedsFor is fewer schedules where each costs more.
func seedsFor(n int) int {
	if underRace || testing.Short() {
		return n / 5
	}
	return n
}

// TestSchedules runs some schedules, small worlds crashed everywhere among them: `make dst` runs many.
func TestSchedules(t *testing.T) {
	n := seedsFor(300)
	r := Run(Options{Seeds: n})
	for i := range r.Failures {
		t.Errorf("%s", r.Failures[i].String())
	}
	if r.Schedules != n || r.SmallWorlds == 0 || r.Small == 0 || r.Small > n/2 {
		t.Errorf("%d schedules of %d, %d small worlds in %d of them", r.Schedules, n, r.SmallWorlds, r.Small)
	}
	if want := fmt.Sprintf("dst: %d schedules, %d steps, 0 violations", n, r.Steps); r.Last() != want {
		t.Errorf("last line %q, want %q", r.Last(), want)
	}
}

// TestEnoughSteps: a random world has at least 500 steps, and most of those with faults.
func TestEnoughSteps(t *testing.T) {
	s := &stage{}
	for seed := uint64(1); seed <= uint64(seedsFor(100)); seed++ {
		if out := s.play(optionsOf(seed)); out.steps < 500 {
			t.Errorf("seed %d: %d steps", seed, out.steps)
		}
	}
}

// TestSameSeedSameBytes: a seed is one schedule, whatever was played before it on the same stage, and however many play at once.
func TestSameSeedSameBytes(t *testing.T) {
	used := &stage{}
	for seed := uint64(1); seed <= uint64(seedsFor(60)); seed++ {
		for _, seed := range []uint64{seed, smallSeed(int(seed), 0, 0), smallSeed(int(seed), 3, 1)} {
			o := optionsOf(seed)
			o.journal, o.trace = true, true
			a, b := used.play(o), (&stage{}).play(o)
			if a.digest != b.digest || a.steps != b.steps || !slices.Equal(a.lines, b.lines) || a.cover != b.cover {
				t.Fatalf("seed %d: digest %x after %d steps, then %x after %d", seed, a.digest, a.steps, b.digest, b.steps)
			}
		}
	}
	one, four := Run(Options{Seeds: 60, Workers: 1}), Run(Options{Seeds: 60, Workers: 4})
	if one.Steps != four.Steps || one.Table != four.Table || one.Small != four.Small {
		t.Errorf("one worker: %d steps; four: %d", one.Steps, four.Steps)
	}
}

// TestStreamsAreApart: what one key of the dice gives does not depend on what was drawn before, and dropping a fault leaves the others' luck.
func TestStreamsAreApart(t *testing.T) {
	d := &dice{seed: 7}
	a := d.at(streamJob, 5).below(math.MaxInt32)
	d.at(streamLoop, 5).below(10)
	d.chance(0.5)
	if b := d.at(streamJob, 5).below(math.MaxInt32); a != b {
		t.Errorf("job 5 drew %d, then %d", a, b)
	}
	seen := map[int]bool{}
	for n := range uint64(10_000) {
		seen[d.at(streamJob, n).below(1<<30)] = true
	}
	if len(seen) < 9_900 {
		t.Errorf("10,000 keys drew only %d numbers", len(seen))
	}
	for _, p := range []float64{0.01, 0.3, 0.9} {
		hits := 0
		for n := range uint64(100_000) {
			if d.at(stream(FaultLies), n).chance(p) {
				hits++
			}
		}
		if got := float64(hits) / 100_000; math.Abs(got-p) > 0.01 {
			t.Errorf("a chance of %v came true with %v", p, got)
		}
	}
}

// TestParts: a long run can be made in parts. Each part has its own schedules.
func TestParts(t *testing.T) {
	whole := Run(Options{Seeds: 60, After: 1000})
	first, second := Run(Options{Seeds: 20, After: 1000}), Run(Options{Seeds: 40, After: 1020})
	if whole.Steps != first.Steps+second.Steps || whole.Violations != 0 || first.Steps == 0 || whole.Small != 0 {
		t.Errorf("%d steps in one run, %d and %d in two parts; %d violations, %d small worlds", whole.Steps, first.Steps, second.Steps, whole.Violations, whole.Small)
	}
}

// TestSmallSeeds: the seed of a small world's schedule says all of it.
func TestSmallSeeds(t *testing.T) {
	for world := 1; world < 3000; world += 997 {
		for _, commit := range []int{0, 1, smallCommits} {
			for p, point := range smallPoints {
				o := optionsOf(smallSeed(world, commit, p))
				if !o.small || o.crashAt != commit || o.crashPoint != point || o.seed != smallSeed(world, 0, 0) {
					t.Fatalf("world %d, commit %d, point %d: %+v", world, commit, p, o)
				}
			}
		}
	}
	s := &stage{}
	plain, crashed := s.play(optionsOf(smallSeed(2, 0, 0))), s.play(optionsOf(smallSeed(2, 1, 0)))
	if plain.commits == 0 || plain.commits > smallCommits || plain.cover.lives != 0 && plain.cover.faults[FaultShutdownKeeps] == 0 {
		t.Errorf("small world 2: %d commits, %d crashes", plain.commits, plain.cover.lives)
	}
	if crashed.cover.faults[FaultCrashBeforeCommit] != 1 || crashed.cover.lives < 1 {
		t.Errorf("crashed at its first commit: %d crashes", crashed.cover.lives)
	}
}

// TestShrink: a failure that two faults and no job make is shrunk to just these two and at most a few callers, and is told with its seed and how to replay it.
func TestShrink(t *testing.T) {
	planted := func(o *runOptions) {
		o.tamper = func(w *world) {
			if w.cover.faults[FaultListFails] > 0 && w.cover.faults[FaultReloadUses] > 0 {
				w.fail("planted", "both happened")
			}
		}
	}
	r := Run(Options{Seeds: 200, StopFirst: true, tune: planted})
	if r.Violations == 0 || len(r.Failures) != 1 {
		t.Fatalf("%d violations, %d reports", r.Violations, len(r.Failures))
	}
	f := r.Failures[0]
	if f.Faults != 2 || f.Jobs > 4 {
		t.Errorf("shrunk to %d faults, %d jobs; step %d became %d", f.Faults, f.Jobs, f.Violation.Step, f.Shrunk.Step)
	}
	text := f.String()
	for _, want := range []string{fmt.Sprintf("seed %d: invariant planted", f.Seed), fmt.Sprintf("make dst SEED=%d", f.Seed), "list fails", "reload: uses",
		"VIOLATED"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}

// TestShrinkKeepsItsPromise: what is left after a shrink still fails, and with any of it left out it does not.
func TestShrinkKeepsItsPromise(t *testing.T) {
	o := optionsOf(0)
	o.tamper = func(w *world) {
		if w.cover.faults[FaultCancels] > 0 && w.cover.faults[FaultVanishes] > 0 {
			w.fail("planted", "both happened")
		}
	}
	s := &stage{}
	for o.seed = 1; ; o.seed++ {
		bad := s.play(o)
		if bad.broken == nil {
			continue
		}
		small, out := shrink(s, o, bad)
		if len(out.occurred) != 2 || out.jobs-len(small.dropJobs) > 3 {
			t.Fatalf("seed %d: %d faults and %d jobs are left", o.seed, len(out.occurred), out.jobs-len(small.dropJobs))
		}
		for _, occ := range out.occurred {
			less := small
			less.dropFaults = copyOf(small.dropFaults)
			less.dropFaults[occ] = true
			if s.play(less).broken != nil {
				t.Errorf("seed %d: without %s it fails all the same", o.seed, occ.fault)
			}
		}
		return
	}
}
