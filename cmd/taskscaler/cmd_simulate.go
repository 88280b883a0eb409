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
		Short: "Simulate past jobs: how long they wait, and what the instances cost",
		Long: "simulate plays a log of jobs, or synthetic jobs, against the configuration and a model of the cloud, on virtual time. It uses the decision\n" +
			"code of production. The report goes to standard output, everything else to standard error.\n\n" +
			"A SPEC is, for example, poisson:rate=0.05/s,duration=exp:600s,jobs=100000. See docs/simulation.md for logs, specs and models.\n\n" +
			"Exit codes: 0 success, 1 failure (or no job was served), 2 wrong usage, 3 an --assert fails, 128+N stopped by signal N.",
		Args: noArguments("config"),
	}
	f := cmd.Flags()
	f.StringVar(&r.Config, "config", "", "the runner's config.toml")
	f.IntVar(&r.Replicas, "replicas", 1, "number of independent runs; figures get intervals, and assertions check the means")
	f.BoolVar(&r.Timing, "timing", false, "show how fast the simulation was")
	f.BoolVar(&r.Timeline, "timeline", false, "include the curves in JSON")
	f.StringArrayVar(&r.Assert, "assert", nil, "fail with exit code 3 unless this holds, such as p95_wait<60s or cost<=1200 (can be repeated)")
	cmd.AddCommand(newSimulateCompare(env), newSimulateRecommend(env), newSimulateSchema(env))
	return simulation(env, cmd, &r.Setup, &r.Output, "text, json, csv or html", func(ctx context.Context, _ []string, streams simcmd.Streams) error {
		return simcmd.Run(ctx, r, streams)
	})
}

// setupFlags adds the flags that say what to simulate.
func setupFlags(cmd *cobra.Command, s *simcmd.Setup) {
	f := cmd.Flags()
	f.StringVar(&s.Runner, "runner", "", "name or id of a runner, or its position in the file")
	f.StringVar(&s.Model, "model", "", "model of the cloud, a TOML file (default: instances boot at once, never fail and cost nothing)")
	f.StringVar(&s.Shape, "shape", "", "use [shapes.NAME] of the model")
	f.Uint64Var(&s.Seed, "seed", 1, "seed of all random numbers")
	f.DurationVar(&s.Warmup, "warmup", 0, "exclude jobs that arrive before this time from all figures")
	f.StringVar(&s.Start, "start", "", "wall clock time of the first arrival (default: that of the log, or else "+simcmd.DefaultStart+")")
	f.StringVar(&s.Timezone, "timezone", "UTC", "time zone of times without a zone, of hours of the day, and of policies without a timezone")
	f.BoolVar(&s.Check, "check", false, "check every invariant at every step")
	j := &s.Jobs
	f.StringVar(&j.Workload, "workload", "", "a log of jobs, or a spec")
	f.IntVar(&j.Repeat, "repeat", 1, "play the log this many times, one after the other")
	f.StringVar(&j.Format, "format-in", "", "format of the log: csv, github, gitlab, jsonl, swf or taskcluster (default: detected from the content)")
	f.StringVar(&j.Columns, "columns", "", "columns of csv and jsonl, such as arrival=queued_at,duration=secs")
	f.BoolVar(&j.KeepZero, "keep-zero", false, "keep jobs with a duration of zero instead of treating them as cancelled")
	f.StringArrayVar(&j.Tags, "tag", nil, "keep jobs with this tag; a pattern (can be repeated)")
	f.StringArrayVar(&j.Runners, "job-runner", nil, "keep jobs of this runner; a pattern (can be repeated)")
	f.StringArrayVar(&j.Names, "job-name", nil, "keep jobs of this name; a pattern (can be repeated)")
	f.StringVar(&j.From, "from", "", "keep jobs that arrive at or after this: a time, or a duration after the first job")
	f.StringVar(&j.To, "to", "", "keep jobs that arrive before this")
	f.StringVar(&j.Scale, "scale", "", "change the number of jobs, at the same times of day: 2x, 0.5, 150%")
	_ = cmd.MarkFlagFilename("config", "toml")
	_ = cmd.MarkFlagFilename("model", "toml")
}

func outputFlags(cmd *cobra.Command, o *simcmd.Output, formats string) {
	cmd.Flags().StringVar(&o.Format, "format", "", formats+" (default: from the name of --output, or else text)")
	cmd.Flags().StringVar(&o.File, "output", "", "write the report to this file")
}

// streams returns the output streams, and those that are terminals.
func streams(env environment) simcmd.Streams {
	s := simcmd.Streams{Out: env.stdout, Err: env.stderr}
	if isTerminal(env.raw.stderr) {
		s.Bar = env.raw.stderr
	}
	if f, ok := env.raw.stdout.(*os.File); ok && isTerminal(f) {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			s.Screen, s.Width = f, width
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
		Args:  noArguments(""),
		RunE: func(*cobra.Command, []string) error {
			text := report.Schema()
			if comparison {
				text = report.ComparisonSchema()
			}
			_, err := io.WriteString(env.stdout, text)
			return failed(err)
		},
	}
	cmd.Flags().BoolVar(&comparison, "comparison", false, "print the schema of simulate compare and recommend")
	return cmd
}
