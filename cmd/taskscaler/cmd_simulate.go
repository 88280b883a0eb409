package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/taskscaler/taskscaler/cmd/taskscaler/internal/simcmd"
	"github.com/taskscaler/taskscaler/pkg/simulate/report"
)

// exitAssertion is the exit code of simulate when an assertion fails.
const exitAssertion = 3

func newSimulate(env environment) *cobra.Command {
	var r simcmd.Request
	cmd := &cobra.Command{
		Use:   "simulate --config FILE --workload FILE|SPEC",
		Short: "Learn how long jobs would wait and what it would cost, from the jobs of the past",
		Long: "simulate plays a log of jobs, or synthetic ones, against the configuration and a model of the cloud, on virtual time: what\n" +
			"decides is the code that decides in production. The report goes to standard output, everything else to standard error.\n\n" +
			"A spec is such as poisson:rate=0.05/s,duration=exp:600s,jobs=100000. See docs/simulation.md for logs, specs and models.\n\n" +
			"Exit codes: 0 done, 1 failed (or not one job was served), 2 wrong usage, 3 an --assert fails, 128+N stopped by signal N.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return interruptible(cmd, func(ctx context.Context) error { return simcmd.Run(ctx, r, streams(env)) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Config, "config", "", "the runner's config.toml")
	f.IntVar(&r.Replicas, "replicas", 1, "independent runs side by side; figures get intervals, and assertions judge their means")
	f.BoolVar(&r.Timing, "timing", false, "tell how fast the simulation was")
	f.BoolVar(&r.Timeline, "timeline", false, "put the curves into JSON, too")
	f.StringArrayVar(&r.Assert, "assert", nil, "fail with exit code 3 unless this holds, such as p95_wait<60s or cost<=1200 (can be repeated)")
	setupFlags(cmd, &r.Setup)
	outputFlags(cmd, &r.Output, "text, json, csv or html")
	cmd.AddCommand(newSimulateCompare(env), newSimulateRecommend(env), newSimulateSchema(env))
	return cmd
}

// setupFlags are those of what is simulated.
func setupFlags(cmd *cobra.Command, s *simcmd.Setup) {
	f := cmd.Flags()
	f.StringVar(&s.Runner, "runner", "", "name or id of a runner, or its position in the file")
	f.StringVar(&s.Model, "model", "", "model of the cloud, a TOML file (default: machines at once, without failure, for nothing)")
	f.StringVar(&s.Shape, "shape", "", "the [shapes.NAME] of the model")
	f.Uint64Var(&s.Seed, "seed", 1, "of all chance")
	f.DurationVar(&s.Warmup, "warmup", 0, "leave jobs that arrive before this out of every figure")
	f.StringVar(&s.Start, "start", "", "wall clock at the first arrival (default: the log's own, else "+simcmd.DefaultStart+")")
	f.StringVar(&s.Timezone, "timezone", "UTC", "of times without one, hours of the day, and policies that name none")
	f.BoolVar(&s.Check, "check", false, "check every invariant at every step")
	j := &s.Jobs
	f.StringVar(&j.Workload, "workload", "", "a log of jobs, or a spec")
	f.IntVar(&j.Repeat, "repeat", 1, "play the log this many times, one behind the other")
	f.StringVar(&j.Format, "format-in", "", "of the log: csv, github, gitlab, jsonl, swf or taskcluster (default: told from the content)")
	f.StringVar(&j.Columns, "columns", "", "of csv and jsonl, such as arrival=queued_at,duration=secs")
	f.BoolVar(&j.KeepZero, "keep-zero", false, "jobs that ran for no time are jobs, not cancelled ones")
	f.StringArrayVar(&j.Tags, "tag", nil, "keep jobs with this tag; a pattern (can be repeated)")
	f.StringArrayVar(&j.Runners, "job-runner", nil, "keep jobs of this runner; a pattern (can be repeated)")
	f.StringArrayVar(&j.Names, "job-name", nil, "keep jobs of this name; a pattern (can be repeated)")
	f.StringVar(&j.From, "from", "", "keep jobs that arrive from here on: a time, or a duration from the first")
	f.StringVar(&j.To, "to", "", "keep jobs that arrive before this")
	f.StringVar(&j.Scale, "scale", "", "as many jobs as this, at the same times of day: 2x, 0.5, 150%")
	_ = cmd.MarkFlagFilename("config", "toml")
	_ = cmd.MarkFlagFilename("model", "toml")
}

func outputFlags(cmd *cobra.Command, o *simcmd.Output, formats string) {
	cmd.Flags().StringVar(&o.Format, "format", "", formats+" (default: by the name of --output, else text)")
	cmd.Flags().StringVar(&o.File, "output", "", "write the report to this file")
}

// streams tells what the streams are connected to.
func streams(env environment) simcmd.Streams {
	s := simcmd.Streams{Out: env.stdout, Err: env.stderr, ErrTerminal: isTerminal(env.stderr)}
	if f, ok := env.stdout.(*os.File); ok && isTerminal(f) {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			s.OutWidth = width
		}
	}
	return s
}

// simulated gives err its exit code.
func simulated(err error) error {
	var (
		usage    *simcmd.UsageError
		asserted *simcmd.AssertionError
	)
	switch {
	case errors.As(err, &usage):
		return &exitError{code: exitUsage, err: err}
	case errors.As(err, &asserted):
		return &exitError{code: exitAssertion, err: err}
	}
	return failed(err)
}

func newSimulateSchema(env environment) *cobra.Command {
	var comparison bool
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the JSON report",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text := report.Schema()
			if comparison {
				text = report.ComparisonSchema()
			}
			_, err := io.WriteString(env.stdout, text)
			return failed(err)
		},
	}
	cmd.Flags().BoolVar(&comparison, "comparison", false, "that of simulate compare and recommend")
	return cmd
}
