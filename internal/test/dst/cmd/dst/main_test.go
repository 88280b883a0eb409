package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/internal/test/dst"
)

func call(args ...string) (code int, stdout, stderr string) {
	var out, bad bytes.Buffer
	code = run(args, &out, &bad)
	return code, out.String(), bad.String()
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return lines[len(lines)-1]
}

// TestRun: the table, then the last line, and exit 0.
func TestRun(t *testing.T) {
	code, out, bad := call("-seeds", "30")
	if code != exitClean || bad != "" || !strings.Contains(out, "crash before commit") {
		t.Errorf("exit %d, stderr %q\n%s", code, bad, out)
	}
	if last := lastLine(out); !regexp.MustCompile(`^dst: 30 schedules, [0-9]+ steps, 0 violations$`).MatchString(last) {
		t.Errorf("last line %q", last)
	}
	code, out, _ = call("-seeds", "30", "-quiet", "-stop-first", "-no-coverage", "-j", "1")
	if code != exitClean || strings.Contains(out, "crash before commit") {
		t.Errorf("quiet: exit %d\n%s", code, out)
	}
}

// TestReplay: one schedule, with its trace.
func TestReplay(t *testing.T) {
	code, out, _ := call("-seed", "5")
	if code != exitClean || !strings.Contains(out, "life 1 begins") || !strings.HasPrefix(lastLine(out), "dst: 1 schedules, ") {
		t.Errorf("exit %d\n%.500s\n%s", code, out, lastLine(out))
	}
}

// TestUsage: what makes no sense is exit 2.
func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-seeds", "0"}, {"-nonsense"}, {"more"}, {"-seeds", "x"}} {
		if code, _, bad := call(args...); code != exitUsage || bad == "" {
			t.Errorf("%v: exit %d, stderr %q", args, code, bad)
		}
	}
}

// TestExitCodes: violations come before coverage, and coverage can be left out.
func TestExitCodes(t *testing.T) {
	failure := dst.Failure{Seed: 7, Violation: dst.Violation{Invariant: "3", What: "planted"}}
	for _, c := range []struct {
		report     dst.Report
		noCoverage bool
		want       int
		text       string
	}{
		{dst.Report{Schedules: 1}, false, exitClean, "0 violations"},
		{dst.Report{Short: []string{"fault x"}}, false, exitUncover, "not covered: fault x"},
		{dst.Report{Short: []string{"fault x"}}, true, exitClean, "0 violations"},
		{dst.Report{Violations: 3, Others: []uint64{8, 9}, Failures: []dst.Failure{failure}}, false, exitViolated, "seeds of the other violations: 8 9\n"},
		{dst.Report{Violations: 1, Short: []string{"fault x"}, Failures: []dst.Failure{failure}}, false, exitViolated, "make dst SEED=7"},
	} {
		var out bytes.Buffer
		if got := show(&c.report, false, c.noCoverage, &out); got != c.want || !strings.Contains(out.String(), c.text) {
			t.Errorf("%+v: exit %d\n%s", c.report, got, out.String())
		}
	}
}
