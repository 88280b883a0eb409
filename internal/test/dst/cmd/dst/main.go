// Dst runs deterministic simulation tests: see package internal/test/dst. `make dst SEEDS=n` calls it.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/test/dst"
)

// Exit codes.
const (
	exitClean    = 0
	exitViolated = 1
	exitUsage    = 2
	exitUncover  = 3
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("dst", flag.ContinueOnError)
	flags.SetOutput(stderr)
	seeds := flags.Int("seeds", 20000, "schedules to run")
	after := flags.Uint64("after", 0, "run the schedules after this seed, without small worlds: the next part of a long run")
	seed := flags.Uint64("seed", 0, "replay this one schedule and print its trace")
	stopFirst := flags.Bool("stop-first", false, "stop at the first violation")
	quiet := flags.Bool("quiet", false, "no coverage table and no progress")
	noCoverage := flags.Bool("no-coverage", false, "do not judge coverage")
	record := flags.Int("record", 0, "record, replay and resume one in this many schedules; 0: 32")
	workers := flags.Int("j", 0, "worlds at once; 0: one a processor")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if flags.NArg() > 0 || *seeds < 1 || *record < 0 {
		fmt.Fprintln(stderr, "dst: -seeds must be at least 1, -record not below 0, and there are no arguments")
		return exitUsage
	}
	if *seed != 0 {
		return replay(*seed, stdout)
	}
	o := dst.Options{Seeds: *seeds, After: *after, Workers: *workers, StopFirst: *stopFirst, Record: *record}
	o.Hung = func(seed uint64) {
		fmt.Fprintf(stdout, "seed %d: no return from a step within %v\nreplay: %s\ndst: 1 violations\n", seed, dst.HungAfter, dst.Command(seed))
		os.Exit(exitViolated)
	}
	if f, ok := stderr.(*os.File); ok && !*quiet && isTerminal(f) {
		began := time.Now()
		o.Progress = func(done, total int) {
			fmt.Fprintf(stderr, "\r%d of %d schedules, %.0f a minute ", done, total, float64(done)/time.Since(began).Minutes())
		}
	}
	report := dst.Run(o)
	if o.Progress != nil {
		fmt.Fprint(stderr, "\r\x1b[K")
	}
	return show(&report, *quiet, *noCoverage, stdout)
}

func show(r *dst.Report, quiet, noCoverage bool, out io.Writer) int {
	if !quiet {
		fmt.Fprint(out, r.Table)
	}
	for i := range r.Failures {
		fmt.Fprintf(out, "\n%s", r.Failures[i].String())
	}
	if len(r.Others) > 0 {
		fmt.Fprintf(out, "\nseeds of the other violations: %s\n", strings.Trim(fmt.Sprint(r.Others), "[]"))
	}
	fmt.Fprintf(out, "small worlds crashed at every point of every commit: %d (at most %d commits each), in %d of the schedules\n", r.SmallWorlds, r.SmallMost, r.Small)
	fmt.Fprintf(out, "%.1f s, %.0f schedules a minute\n", r.Took.Seconds(), float64(r.Schedules)/r.Took.Minutes())
	code := exitClean
	switch {
	case r.Violations > 0:
		code = exitViolated
	case len(r.Short) > 0 && !noCoverage:
		code = exitUncover
		for _, s := range r.Short {
			fmt.Fprintf(out, "not covered: %s\n", s)
		}
	}
	fmt.Fprintln(out, r.Last())
	return code
}

func replay(seed uint64, out io.Writer) int {
	trace, broken, steps := dst.Replay(seed)
	for _, l := range trace {
		fmt.Fprintln(out, l)
	}
	n := 0
	if broken != nil {
		n = 1
		fmt.Fprintf(out, "\n%s\n", broken.Error())
	}
	fmt.Fprintf(out, "dst: 1 schedules, %d steps, %d violations\n", steps, n)
	return min(n, exitViolated)
}

func isTerminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
