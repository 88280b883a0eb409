package dst

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

func sortOutcomes(o []outcome) {
	slices.SortFunc(o, func(a, b outcome) int { return cmp.Compare(a.seed, b.seed) })
}

func shortLine(r row) string {
	if r.share {
		return fmt.Sprintf("fault %q occurred in %d schedules, at least %d are required", r.name, r.count, r.need)
	}
	return fmt.Sprintf("%s %q was reached %d times, at least %d are required", r.group, r.name, r.count, r.need)
}

// traceTail is the number of lines of a long trace that a report shows.
const traceTail = 120

// String is the failure as text: the seed, the invariant, the shrunk trace, and how to replay it.
func (f *Failure) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %s\n", f.Seed, f.Violation.Error())
	fmt.Fprintf(&b, "replay: %s\n", Command(f.Seed))
	fmt.Fprintf(&b, "shrunk to %d faults and %d callers: %s\n", f.Faults, f.Jobs, f.Shrunk.Error())
	lines := f.Trace
	if len(lines) > traceTail {
		fmt.Fprintf(&b, "  %s\n  … %d lines …\n", strings.ReplaceAll(lines[0], "\n", "\n  "), len(lines)-traceTail)
		lines = lines[len(lines)-traceTail:]
	}
	for _, l := range lines {
		fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(l, "\n", "\n  "))
	}
	return b.String()
}

// Last is the last line of a run.
func (r *Report) Last() string {
	return fmt.Sprintf("dst: %d schedules, %d steps, %d violations", r.Schedules, r.Steps, r.Violations)
}
