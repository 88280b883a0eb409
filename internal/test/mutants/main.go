package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"
)

// patchDir is relative to the module's root.
const patchDir = "internal/test/dst/mutants"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// options are the command's flags.
type options struct {
	root, dir string
	only      *regexp.Regexp
	jobs      int
	seeds     int
	mutants   int
	write     bool
	out       io.Writer
}

func run(ctx context.Context, args []string, out io.Writer) error {
	verbs := map[string]func(context.Context, *options, []*patch) error{
		"kill": killAll, "proof": proveAll, "tool": toolAll, "list": list, "refresh": refreshAll,
	}
	if len(args) == 0 || verbs[args[0]] == nil {
		return errors.New("say kill, proof, tool, list or refresh")
	}
	flags := flag.NewFlagSet("mutants "+args[0], flag.ContinueOnError)
	only := flags.String("only", "", "mutants whose name matches this expression")
	o := &options{out: out}
	dir := flags.String("dir", patchDir, "folder of the patches, below the module's root")
	flags.IntVar(&o.jobs, "j", 2, "mutants at once")
	flags.IntVar(&o.seeds, "seeds", 2000, "schedules within which the simulation must find a fault")
	flags.IntVar(&o.mutants, "n", 50, "tool: mutants in all, the first of each room")
	flags.BoolVar(&o.write, "write", true, "kill: write "+tablePath)
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if o.root, err = moduleRoot(); err != nil {
		return err
	}
	if o.dir = *dir; !filepath.IsAbs(o.dir) {
		o.dir = filepath.Join(o.root, o.dir)
	}
	patches, err := readPatches(o.dir)
	if err != nil {
		return err
	}
	return verbs[args[0]](ctx, o, patches)
}

// chosen are the patches that match -only.
func (o *options) chosen(patches []*patch) []*patch {
	return slices.DeleteFunc(slices.Clone(patches), func(p *patch) bool { return !o.only.MatchString(p.name) })
}

// chosenFields are the stored fields that match -only.
func (o *options) chosenFields() []field {
	return slices.DeleteFunc(storedFields(), func(f field) bool { return !o.only.MatchString(string(f)) })
}

// each runs f for 0 ≤ n < count, up to jobs at once, and calls done in order.
func each[R any](jobs, count int, f func(n int) R, done func(n int, r R)) {
	results := make([]chan R, count)
	for n := range results {
		results[n] = make(chan R, 1)
	}
	var wg sync.WaitGroup
	next := make(chan int)
	for range max(jobs, 1) {
		wg.Go(func() {
			for n := range next {
				results[n] <- f(n)
			}
		})
	}
	wg.Go(func() {
		for n := range count {
			next <- n
		}
		close(next)
	})
	for n := range count {
		done(n, <-results[n])
	}
	wg.Wait()
}

// tryAll runs f for each patch and prints a line for each. want is the expected verdict.
func tryAll(o *options, patches []*patch, want verdict, f func(*patch) result) map[string]result {
	results := map[string]result{}
	each(o.jobs, len(patches), func(n int) result { return f(patches[n]) }, func(n int, r result) {
		p := patches[n]
		results[p.name] = r
		fmt.Fprintf(o.out, "%-36s %-16s %-22s %s %.0fs\n", p.name, p.room(), r.verdict, foundWords(r), r.took.Seconds())
		if r.verdict != want {
			fmt.Fprintf(o.out, "%s\n", tail(r.output, 25))
		}
	})
	return results
}

func count(results map[string]result, v verdict) (n int) {
	for _, r := range results {
		if r.verdict == v {
			n++
		}
	}
	return n
}

func killAll(ctx context.Context, o *options, all []*patch) error {
	patches, fields := o.chosen(all), o.chosenFields()
	b, err := newBench(o.root, o.seeds)
	if err != nil {
		return err
	}
	began := time.Now()
	suites := suitesOf(patches)
	if len(fields) > 0 && !slices.Contains(suites, suiteDST) {
		suites = append(suites, suiteDST)
	}
	if err := b.check(ctx, suites...); err != nil {
		return err
	}
	results := tryAll(o, patches, killed, func(p *patch) result { return b.kill(ctx, p) })
	forgotten, faults, err := forgetAll(ctx, o, b, fields)
	if err != nil {
		return err
	}
	maps.Copy(results, forgotten)
	if o.write {
		if err := writePage(o.root, all, results); err != nil {
			return err
		}
	}
	fmt.Fprintf(o.out, "%.0f s\n", time.Since(began).Seconds())
	n, kept := count(results, killed), count(results, explained)
	fmt.Fprintf(o.out, "mutants: %d/%d killed, and %d stored fields that nothing needs are kept for a reason\n", n, len(results)-kept, kept)
	for _, f := range faults {
		fmt.Fprintf(o.out, "%s\n", f)
	}
	if n+kept != len(results) || len(results) == 0 || len(faults) > 0 {
		return fmt.Errorf("%d were not killed, %d stored fields need a test or a line in %s", len(results)-n-kept, len(faults), keptPath)
	}
	return nil
}

// suitesOf are the suites that the patches name.
func suitesOf(patches []*patch) (suites []string) {
	for _, p := range patches {
		if !slices.Contains(suites, p.suite) {
			suites = append(suites, p.suite)
		}
	}
	return suites
}

func proveAll(ctx context.Context, o *options, all []*patch) error {
	patches := o.chosen(all)
	b, err := newBench(o.root, o.seeds)
	if err != nil {
		return err
	}
	for _, room := range []string{"pkg/policy", "internal/fleet", "pkg/taskscaler"} {
		if r := b.units(ctx, "", room); r.verdict != passes {
			return fmt.Errorf("the unit tests fail without any fault: %s %s\n%s", r.verdict, r.by, tail(r.output, 25))
		}
	}
	results := tryAll(o, patches, passes, func(p *patch) result { return b.proof(ctx, p) })
	n := count(results, passes)
	fmt.Fprintf(o.out, "mutants: %d/%d build, are vetted and pass the unit tests\n", n, len(patches))
	if n != len(patches) || n == 0 {
		return fmt.Errorf("%d are not eligible", len(patches)-n)
	}
	return nil
}

func list(_ context.Context, o *options, all []*patch) error { return writePage(o.root, all, nil) }

func refreshAll(ctx context.Context, o *options, all []*patch) error {
	var faults []error
	for _, p := range o.chosen(all) {
		faults = append(faults, p.refresh(ctx, o.root))
	}
	return errors.Join(faults...)
}
