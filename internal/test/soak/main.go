// Command soak tests a manager while processes are killed. It runs the real taskscaler with the fake plugin, a state file and jobs over SSH. It
// kills the manager, the plugin, the clients of the jobs and the instances at random moments, and starts the manager again each time. The
// cloud has failures too. Then package check proves, from the records of the instances and from the log of this driver, that nothing was
// lost, doubled, leaked or reported wrongly.
//
//	go run ./internal/test/soak -for 3m -seed 7
//	go run ./internal/test/soak -check DIR      # check a kept soak again
//
// The seed decides the configuration, the load and the kills. What a kill interrupts depends on the speed of the machine. A soak that fails
// keeps its folder.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/internal/test/soak/check"
	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options holds the flags of a soak.
type options struct {
	length         time.Duration // of load and kills, without the time to settle afterwards
	seed           uint64
	minGap, maxGap time.Duration // between two kills
	phase          time.Duration // how long one kind of load lasts
	keep           bool          // keep the folder even if there is no violation
}

// run runs the soak and returns the exit code: 0 without a violation, 1 otherwise, 2 for wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := options{}
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&o.length, "for", 3*time.Minute, "duration of the load and the kills")
	flags.Uint64Var(&o.seed, "seed", 0, "seed of all random choices; 0: a random seed")
	flags.DurationVar(&o.minGap, "min-gap", 2*time.Second, "shortest time between two kills")
	flags.DurationVar(&o.maxGap, "max-gap", 6*time.Second, "longest time between two kills")
	flags.DurationVar(&o.phase, "phase", 12*time.Second, "duration of one kind of load")
	flags.BoolVar(&o.keep, "keep", false, "keep the folder even if nothing is wrong")
	again := flags.String("check", "", "check the soak in this `folder` again, and do nothing else")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 || o.length <= 0 || o.minGap <= 0 || o.maxGap < o.minGap || o.phase <= 0 {
		fmt.Fprintln(stderr, "soak: durations must be positive, -max-gap must not be below -min-gap, and no arguments are allowed")
		return 2
	}
	if *again != "" {
		return judge(*again, stdout, stderr)
	}
	for o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000) // short enough to type
	}
	return soakOnce(ctx, o, stdout, stderr)
}

// soakOnce runs one soak in a new folder. It keeps the folder if something is wrong.
func soakOnce(ctx context.Context, o options, stdout, stderr io.Writer) int {
	dir, err := os.MkdirTemp("", "ts-soak-") // a short path, because the path of a socket has a maximum length
	if err != nil {
		fmt.Fprintln(stderr, "soak:", err)
		return 1
	}
	fmt.Fprintf(stdout, "soak: seed %d, %s, in %s\n", o.seed, o.length, dir)
	v := newView(stdout, terminalWidth(stdout))
	err = drive(ctx, dir, o, v)
	v.end()
	if ctx.Err() != nil {
		_ = os.RemoveAll(dir)
		fmt.Fprintln(stderr, "soak: interrupted; nothing was checked, and nothing is left")
		return 1
	}
	if err != nil { // the records may show more
		fmt.Fprintf(stderr, "soak: it did not run to its end: %v\nsoak: the folder is kept: %s\n", err, dir)
		_ = judge(dir, stdout, stderr)
		return 1
	}
	code := judge(dir, stdout, stderr)
	if code == 0 && !o.keep {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(stderr, "soak:", err)
			return 1
		}
	}
	return code
}

// judge runs the checker and prints its results.
func judge(dir string, stdout, stderr io.Writer) int {
	history, err := check.Load(filepath.Join(dir, recordFolder), filepath.Join(dir, logFile))
	if err != nil {
		fmt.Fprintf(stderr, "soak: the records cannot be read: %v\nsoak: the folder is kept: %s\n", err, dir)
		return 1
	}
	violations, figures := check.Check(history)
	if err := table(stdout, &figures); err != nil {
		return 1
	}
	for _, v := range violations {
		fmt.Fprintln(stdout, v)
	}
	if len(violations) > 0 {
		fmt.Fprintf(stdout, "the records, the driver's log and the managers' logs are kept in %s\n", dir)
	}
	fmt.Fprintf(stdout, "soak: %d jobs, %d kills, %d violations, %d left\n", figures.Jobs, figures.TotalKills(), len(violations), figures.Left)
	if len(violations) > 0 || figures.Left > 0 {
		return 1
	}
	return 0
}

// terminalWidth returns a function for the width of the terminal w, or nil if w is not a terminal.
func terminalWidth(w io.Writer) func() int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return func() int {
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil || width <= 0 {
			return 80
		}
		return width
	}
}
