package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/tools/go/packages"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sweep:", err)
		os.Exit(1)
	}
}

// options are the command's flags.
type options struct {
	with  string
	seeds int
	more  int
	jobs  int
	slow  time.Duration
	only  *regexp.Regexp
	skip  *regexp.Regexp
	list  bool
	out   io.Writer
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o := &options{out: out}
	flags := flag.NewFlagSet("sweep", flag.ContinueOnError)
	flags.StringVar(&o.with, "with", "", "packages, separated by commas, whose tests run too; a package's own tests always run")
	flags.IntVar(&o.seeds, "dst", 0, "schedules of the simulation before any test; 0 means no simulation")
	flags.IntVar(&o.more, "dst-more", 0, "schedules of the simulation for what survives the tests")
	flags.IntVar(&o.jobs, "j", 2, "faults at once")
	flags.BoolVar(&o.list, "list", false, "list the faults and run none")
	flags.DurationVar(&o.slow, "slow", 3*time.Second, "tests that take longer do not run")
	skip := flags.String("skip", "^$", "faults whose line in the list matches this expression do not run")
	only := flags.String("only", "", "faults whose line in the list matches this expression")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if o.skip, err = regexp.Compile(*skip); err != nil {
		return fmt.Errorf("-skip: %w", err)
	}
	if flags.NArg() == 0 {
		return errors.New("name the packages to sweep, such as ./internal/fleet")
	}
	dir, err := os.MkdirTemp("", "sweep-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir}
	if err := b.load(ctx, flags.Args()); err != nil {
		return err
	}
	if o.list {
		for _, m := range b.mutants {
			fmt.Fprintln(out, m)
		}
		return nil
	}
	return b.sweep(ctx)
}

// load weaves the faults into the packages, and writes the overlay.
func (b *bench) load(ctx context.Context, patterns []string) error {
	cfg := &packages.Config{Context: ctx, Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedSyntax |
		packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports}
	pkgs, err := packages.Load(cfg, patterns...)
	if err != nil {
		return err
	}
	overlay, next := map[string]string{}, 0
	for _, p := range pkgs {
		if len(p.Errors) > 0 {
			return fmt.Errorf("%s: %w", p.PkgPath, p.Errors[0])
		}
		copies, mutants, err := weave(p, &next)
		if err != nil {
			return err
		}
		for path, text := range copies {
			to := filepath.Join(b.dir, strings.ReplaceAll(path, "/", "_"))
			if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
				return err
			}
			overlay[path] = to
		}
		b.packages = append(b.packages, p.PkgPath)
		b.dirs = append(b.dirs, filepath.Dir(p.CompiledGoFiles[0]))
		b.mutants = append(b.mutants, mutants...)
	}
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		return err
	}
	b.overlay = filepath.Join(b.dir, "overlay.json")
	return os.WriteFile(b.overlay, text, 0o600)
}

// sweep runs all faults and prints those that survive, and a tally.
func (b *bench) sweep(ctx context.Context) error {
	if err := b.build(ctx); err != nil {
		return err
	}
	tally := map[string]int{}
	began := time.Now()
	done := 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	work := make(chan *mutant)
	for range b.jobs {
		wg.Go(func() {
			for m := range work {
				fate := b.try(ctx, m)
				mu.Lock()
				tally[fate]++
				done++
				if fate != byDST && fate != byTest {
					fmt.Fprintf(b.out, "%s %s\n", fate, m)
				}
				if done%100 == 0 {
					fmt.Fprintf(os.Stderr, "%d of %d faults, %s, %v\n", done, len(b.mutants), time.Since(began).Round(time.Second), tally)
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range b.mutants {
		if name := m.String(); b.only.MatchString(name) && !b.skip.MatchString(name) && ctx.Err() == nil {
			work <- m
		}
	}
	close(work)
	wg.Wait()
	fmt.Fprintf(b.out, "sweep: %d faults in %s: %d found by the simulation, %d by tests, %d survived, %d reached by no test\n", done,
		time.Since(began).Round(time.Second), tally[byDST], tally[byTest], tally[survived], tally[unreached])
	return ctx.Err()
}
