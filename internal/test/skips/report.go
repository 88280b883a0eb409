package main

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action, Package, Test, Output string
}

// output is what one test printed, or the package itself; ended is how it ended: pass, fail, skip or "", when it did not.
type output struct {
	test, text, ended string
}

// report shows the events as go test does without -json: of a package that passes one line, of one that fails all but what its passed and
// skipped tests printed.
type report struct {
	out      io.Writer
	packages map[string][]output       // those that have not ended
	skipped  map[string]map[string]int // by reason and package: how many tests
	tests    int
}

func newReport(out io.Writer) *report {
	return &report{out: out, packages: map[string][]output{}, skipped: map[string]map[string]int{}}
}

func (r *report) event(e event) {
	switch e.Action {
	case "build-output":
		_, _ = io.WriteString(r.out, e.Output)
	case "output":
		r.add(e)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.packageEnds(e.Package, e.Action)
		} else {
			r.testEnds(e)
		}
	}
}

// add keeps the order in which tests print: an output that follows another of the same test belongs to it.
func (r *report) add(e event) {
	all := r.packages[e.Package]
	if n := len(all); n > 0 && all[n-1].test == e.Test && all[n-1].ended == "" {
		all[n-1].text += e.Output
		return
	}
	r.packages[e.Package] = append(all, output{test: e.Test, text: e.Output})
}

func (r *report) testEnds(e event) {
	said := ""
	all := r.packages[e.Package]
	for i := range all {
		if all[i].test == e.Test && all[i].ended == "" { // with -count a test of this name may have ended before
			all[i].ended = e.Action
			said += all[i].text
		}
	}
	if e.Action == "skip" && !seedOfFuzzTest(e.Test) {
		r.tests++
		why := reason(said)
		if r.skipped[why] == nil {
			r.skipped[why] = map[string]int{}
		}
		r.skipped[why][e.Package]++
	}
}

// seedOfFuzzTest: what a fuzz test skips is an input that says nothing, not a test.
func seedOfFuzzTest(test string) bool {
	return strings.HasPrefix(test, "Fuzz") && strings.Contains(test, "/")
}

func (r *report) packageEnds(name, how string) {
	for _, o := range r.packages[name] {
		switch {
		case how == "fail" && o.ended != "pass" && o.ended != "skip":
			_, _ = io.WriteString(r.out, without.ReplaceAllString(o.text, ""))
		case how != "fail" && o.test == "":
			_, _ = io.WriteString(r.out, verdict(o.text))
		}
	}
	delete(r.packages, name)
}

// without are the lines that go test prints only for a reader of events.
var without = regexp.MustCompile(`(?m)^=== (RUN|PAUSE|CONT|NAME) .*\n`)

// verdict is the line with which go test ends a package that passes: "ok", "?" or one with the coverage of no test.
func verdict(text string) string {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "ok ") || strings.HasPrefix(line, "? ") || strings.HasPrefix(line, "\t") && strings.Contains(line, "coverage:") {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

var place = regexp.MustCompile(`^\s+\S+\.go:\d+: (.*)`)

// reason is what a test said last: where it is skipped.
func reason(said string) string {
	why := "no reason given"
	for line := range strings.Lines(said) {
		if m := place.FindStringSubmatch(line); m != nil {
			why = m[1]
		}
	}
	return why
}

// finish shows the packages that did not end (after an interrupt), and then the skipped tests.
func (r *report) finish() {
	for _, name := range slices.Sorted(maps.Keys(r.packages)) {
		r.packageEnds(name, "fail")
	}
	if r.tests == 0 {
		fmt.Fprintln(r.out, "\nNo test was skipped.")
		return
	}
	fmt.Fprintf(r.out, "\nSkipped tests (number, reason and what they need, packages): %d\n", r.tests)
	for _, why := range slices.Sorted(maps.Keys(r.skipped)) {
		n := 0
		for _, k := range r.skipped[why] {
			n += k
		}
		fmt.Fprintf(r.out, "  %3d  %s (%s)\n", n, why, strings.Join(slices.Sorted(maps.Keys(r.skipped[why])), ", "))
	}
}
