// Package draw runs property tests on random values. It needs the standard library only, so that the tests of the library's module add
// nothing to the module graph of those who import it. The other modules of this repository use pgregory.net/rapid.
//
// A failure prints the seed, and what the smallest failing case that was found drew. Set TASKSCALER_DRAW_SEED to run the same cases again.
package draw

import (
	"fmt"
	"maps"
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	seedVariable = "TASKSCALER_DRAW_SEED"
	checks       = 100  // cases of one Check
	steps        = 60   // Repeat runs at most so many actions, and half of that on average
	shrinkRuns   = 2000 // how often a failing case is run again to find a smaller one
)

// TB is what Check needs of a *testing.T.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// T is one case of a property. It is not safe for use by several goroutines.
//
// Every decision is a number between 0 and some maximum, and smaller numbers mean simpler values. A case is the list of its numbers:
// the same list draws the same values, and a list of fewer or smaller numbers is a simpler case.
type T struct {
	rng   *rand.Rand // nil while a list is played again
	tape  []uint64
	pos   int
	log   []string
	depth int // of draws inside a draw: only the outermost is logged
}

// stop ends a case by panic.
type stop struct {
	skipped bool
	message string
}

// Check runs property on 100 random cases, or on 20 with -short. The first case that fails ends the test.
func Check(tb TB, property func(*T)) {
	tb.Helper()
	seed, err := strconv.ParseUint(os.Getenv(seedVariable), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	n := checks
	if testing.Short() {
		n /= 5
	}
	valid := 0
	for i := 0; valid < n && i < 10*n; i++ {
		t := &T{rng: rand.New(rand.NewPCG(seed, uint64(i)))}
		end := t.run(property)
		switch {
		case end == nil:
			valid++
		case !end.skipped:
			t, end = shrink(property, t, end)
			tb.Fatalf("%s\nThe smallest failing case that was found drew:\n  %s\nTo run the same cases again: %s=%d go test …",
				end.message, strings.Join(t.log, "\n  "), seedVariable, seed)
			return
		}
	}
	if valid < n {
		tb.Fatalf("only %d of %d cases were not skipped (seed %d)", valid, 10*n, seed)
	}
}

// run runs the property once. It returns nil if the case passed.
func (t *T) run(property func(*T)) (end *stop) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case stop:
			end = &p
		default:
			end = &stop{message: fmt.Sprintf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	property(t)
	return nil
}

// shrink looks for a simpler case that fails: it leaves numbers out of the list, and makes them smaller.
func shrink(property func(*T), best *T, end *stop) (*T, *stop) {
	runs := 0
	try := func(tape []uint64) bool {
		if runs++; runs > shrinkRuns {
			return false
		}
		t := &T{tape: tape}
		got := t.run(property)
		if got == nil || got.skipped {
			return false
		}
		t.tape = t.tape[:min(t.pos, len(t.tape))]
		best, end = t, got
		return true
	}
	for better := true; better && runs < shrinkRuns; {
		better = false
		for size := 16; size > 0; size /= 2 {
			for i := len(best.tape) - size; i >= 0; i-- {
				if i+size <= len(best.tape) && try(slices.Delete(slices.Clone(best.tape), i, i+size)) {
					better = true
				}
			}
		}
		for i := 0; i < len(best.tape); i++ {
			better = lower(best.tape, i, func(tape []uint64) bool { return i < len(best.tape) && try(tape) }) || better
		}
	}
	return best, end
}

// lower searches for the smallest number at i with which try succeeds.
func lower(tape []uint64, i int, try func([]uint64) bool) (better bool) {
	with := func(v uint64) bool {
		c := slices.Clone(tape)
		c[i] = v
		return try(c)
	}
	for fails := tape[i]; fails > 0; better = true {
		smaller := false
		for cut := fails; cut > 0 && !smaller; cut /= 2 { // to 0 first, then by half, and so on to 1 less
			if with(fails - cut) {
				fails, smaller = fails-cut, true
			}
		}
		if !smaller {
			break
		}
	}
	return better
}

// choice draws a number from 0 to most. With bias, the ends and numbers of few digits are more frequent than others.
func (t *T) choice(most uint64, bias bool) (v uint64) {
	switch {
	case t.rng == nil && t.pos < len(t.tape):
		v = min(t.tape[t.pos], most)
	case t.rng == nil: // behind the end of a list that was cut: the simplest
	case bias:
		v = biased(t.rng, most)
	default:
		v = uniform(t.rng, most)
	}
	if t.rng != nil {
		t.tape = append(t.tape, v)
	}
	t.pos++
	return v
}

func uniform(rng *rand.Rand, most uint64) uint64 {
	if most+1 == 0 {
		return rng.Uint64()
	}
	return rng.Uint64N(most + 1)
}

func biased(rng *rand.Rand, most uint64) uint64 {
	switch rng.IntN(16) {
	case 0:
		return 0
	case 1:
		return most
	case 2, 3, 4, 5, 6:
		return min(rng.Uint64()>>(64-rng.IntN(bits.Len64(most)+1)), most)
	}
	return uniform(rng, most)
}

// Repeat runs random actions, and the one of the empty name before the first and after each. An action that skips does not count.
func (t *T) Repeat(actions map[string]func(*T)) {
	check := actions[""]
	if check == nil {
		check = func(*T) {}
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(actions)), func(n string) bool { return n == "" })
	most := uint64(steps)
	if testing.Short() {
		most /= 2
	}
	check(t)
	todo := t.choice(most, false)
	for tries := 10 * todo; todo > 0 && tries > 0; tries-- {
		name := names[t.choice(uint64(len(names)-1), false)]
		t.log = append(t.log, "action "+name)
		if t.act(actions[name]) {
			todo--
			check(t)
		}
	}
}

// act reports whether the action ran to its end; it did not if it skipped.
func (t *T) act(action func(*T)) (done bool) {
	defer func() {
		if p := recover(); p != nil {
			if s, ok := p.(stop); !ok || !s.skipped {
				panic(p)
			}
			t.depth = 0
		}
	}()
	action(t)
	return true
}

// Skip ends the action of a Repeat, or else the case, which does not count then.
func (t *T) Skip(args ...any) { panic(stop{skipped: true, message: fmt.Sprint(args...)}) }

// Fatal fails the case and ends it.
func (t *T) Fatal(args ...any) { panic(stop{message: caller() + fmt.Sprint(args...)}) }

// Fatalf fails the case and ends it.
func (t *T) Fatalf(format string, args ...any) {
	panic(stop{message: caller() + fmt.Sprintf(format, args...)})
}

// Helper is there so that helpers can be shared with tests that have a *testing.T.
func (t *T) Helper() {}

func caller() string {
	_, file, line, ok := runtime.Caller(2)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s:%d: ", filepath.Base(file), line)
}
