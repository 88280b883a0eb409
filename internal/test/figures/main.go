// Command figures measures what a manager needs: descriptors, goroutines, memory and CPU time at the start, after many jobs, with many waiters and after
// them, with many idle instances, and with a provider that lists far too many. It starts the real taskscaler with a plugin whose instances cost nothing
// (package crowd), and prints one line for each case. docs/operations.md has the results.
//
//	go run ./internal/test/figures                        # about 15 minutes
//	go run ./internal/test/figures -only jobs -jobs 1000
//	go run ./internal/test/figures -taskscaler PATH       # another build
//
// CPU time is that of the process, from /proc: other programs on the machine change it little. The goroutines are counted in the trace that the manager
// prints when a SIGABRT ends it, so each case has a manager of its own.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"text/tabwriter"

	"github.com/taskscaler/taskscaler/internal/test/stage"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the sizes of the cases.
type options struct {
	binary                             string
	jobs, waiters, idle, lists, listed int
	only                               *regexp.Regexp
}

// run measures, and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := options{}
	flags := flag.NewFlagSet("figures", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.binary, "taskscaler", "", "`path` of another build to measure; default: this tree")
	flags.IntVar(&o.jobs, "jobs", 15_000, "jobs that get a lease and release it")
	flags.IntVar(&o.waiters, "waiters", 9_000, "jobs that wait at once")
	flags.IntVar(&o.idle, "idle", 1_000, "idle instances")
	flags.IntVar(&o.lists, "lists", 24*60, "lists of the idle instances; the default is a day of the default update_interval")
	flags.IntVar(&o.listed, "listed", 200_000, "instances that the provider lists at the start")
	only := flags.String("only", "", "measure only the cases that match this `regexp`")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "figures: -only takes a regular expression, and there are no arguments")
		return 2
	}
	if err := measure(ctx, o, stdout); err != nil {
		fmt.Fprintln(stderr, "figures:", err)
		return 1
	}
	return 0
}

// measure runs all cases and prints the table.
func measure(ctx context.Context, o options, stdout io.Writer) error {
	dir, err := os.MkdirTemp("", "ts-fig-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	root, err := stage.Build(ctx, filepath.Join(dir, "bin"))
	if err != nil {
		return err
	}
	if o.binary == "" {
		o.binary = filepath.Join(dir, "bin", "taskscaler")
	}
	crowd := filepath.Join(dir, "bin", "fleeting-plugin-crowd")
	build := exec.CommandContext(ctx, "go", "build", "-o", crowd, "./internal/test/figures/crowd")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the plugin: %w\n%s", err, out)
	}
	server, err := listen()
	if err != nil {
		return err
	}
	defer server.close()
	lab := &lab{options: o, dir: dir, plugin: crowd, server: server}
	out := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "case\tdescriptors\tgoroutines\tRSS\tpeak RSS\tCPU\tplugin CPU\tthe measured part")
	for _, c := range cases(o) {
		if !o.only.MatchString(c.name) {
			continue
		}
		line, err := lab.measure(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Fprintln(out, line)
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}
