package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/cmd/taskscaler/internal/simcmd"
)

func newSimulateCompare(env environment) *cobra.Command {
	var r simcmd.CompareRequest
	cmd := &cobra.Command{
		Use:   "compare A.toml B.toml … --workload FILE|SPEC",
		Short: "Simulate several configurations on the same jobs and the same luck",
		Long: "compare tells each configuration against the first, with intervals: job n and instance n have the same luck in all of them, so that a\n" +
			"difference is far surer than the figures themselves. Assertions judge the last configuration.",
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Configs = args
			return interruptible(cmd, func(ctx context.Context) error { return simcmd.Compare(ctx, r, streams(env)) })
		},
	}
	f := cmd.Flags()
	f.IntVar(&r.Replicas, "replicas", 1, "independent runs of each; 1: intervals over blocks of one run")
	f.StringArrayVar(&r.Assert, "assert", nil, "fail with exit code 3 unless this holds for the last one (can be repeated)")
	setupFlags(cmd, &r.Setup)
	outputFlags(cmd, &r.Output, "text, json or html")
	return cmd
}

func newSimulateRecommend(env environment) *cobra.Command {
	var r simcmd.RecommendRequest
	cmd := &cobra.Command{
		Use:   "recommend --config FILE --workload FILE|SPEC --slo 'p95_wait<=60s'",
		Short: "Find the cheapest policy that keeps its promises about waits",
		Long: "recommend searches idle_count, idle_time, scale_factor, periods, max_instances and the throttle for the least cost (or instance-hours)\n" +
			"at which each --slo holds. It learns from the first part of the workload and tests on the rest, shows cost against wait, says where\n" +
			"today's configuration stands, and writes the policy as TOML.\n\n" +
			"Exit codes: 0 found, 1 failed (or no policy keeps every --slo), 2 wrong usage, 128+N stopped by signal N.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return interruptible(cmd, func(ctx context.Context) error { return simcmd.Recommend(ctx, r, streams(env)) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Config, "config", "", "the runner's config.toml: what is in force today, and what must not be touched")
	f.StringVar(&r.Objective, "objective", "", "cost or instance_hours (default: cost where the model has a price)")
	f.StringArrayVar(&r.SLO, "slo", nil, "what must hold, such as p95_wait<=60s (can be repeated; default: a p95 wait no longer than today's)")
	f.StringArrayVar(&r.Fixed, "keep", nil, "a key to leave as it is: idle_count, idle_time, scale_factor, periods, max_instances, scale_throttle "+
		"(can be repeated)")
	f.IntSliceVar(&r.Capacities, "capacity", nil, "values of capacity_per_instance that serve jobs equally well (default: today's alone)")
	f.Float64Var(&r.Train, "train", 0.6, "share of the jobs to learn from; the rest is the test")
	f.IntVar(&r.Budget, "budget", 120, "effort: runs over the jobs to learn from")
	f.StringVar(&r.Policy, "policy", "", "write the policy to this file (default: below the text report)")
	setupFlags(cmd, &r.Setup)
	outputFlags(cmd, &r.Output, "text, json or html")
	return cmd
}

// interruptible runs a simulation until a signal.
func interruptible(cmd *cobra.Command, run func(ctx context.Context) error) error {
	ctx, _, stop := signals(cmd.Context(), endings()...)
	defer stop()
	err := run(ctx)
	if ctx.Err() != nil && err != nil {
		return &exitError{code: signalCode(ctx), err: err}
	}
	return simulated(err)
}
