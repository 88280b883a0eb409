package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/cmd/taskscaler/internal/simcmd"
)

func newSimulateCompare(env environment) *cobra.Command {
	var r simcmd.CompareRequest
	cmd := &cobra.Command{
		Use:   "compare A.toml B.toml … --workload FILE|SPEC",
		Short: "Simulate several configurations with the same jobs and the same random numbers",
		Long: "compare compares each configuration with the first, with intervals. Job n and instance n get the same random numbers in all configurations,\n" +
			"so a difference is much more certain than the figures themselves. Assertions check the last configuration.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name the configurations to compare: compare A.toml B.toml --workload …")
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&r.Replicas, "replicas", 1, "number of independent runs of each; 1: intervals from blocks of one run")
	f.StringArrayVar(&r.Assert, "assert", nil, "fail with exit code 3 unless this holds for the last one (can be repeated)")
	return simulation(env, cmd, &r.Setup, &r.Output, "text, json or html", func(ctx context.Context, args []string, streams simcmd.Streams) error {
		r.Configs = args
		return simcmd.Compare(ctx, r, streams)
	})
}

func newSimulateRecommend(env environment) *cobra.Command {
	var r simcmd.RecommendRequest
	cmd := &cobra.Command{
		Use:   "recommend --config FILE --workload FILE|SPEC --slo 'p95_wait<=60s'",
		Short: "Find the cheapest policy that meets the limits on waits",
		Long: "recommend searches idle_count, idle_time, scale_factor, periods, max_instances and the throttle for the least cost (or instance-hours)\n" +
			"at which each --slo holds. It learns from the first part of the workload and tests on the rest. It shows cost against wait and the position\n" +
			"of the current configuration, and writes the policy as TOML.\n\n" +
			"Exit codes: 0 found, 1 failure (or no policy meets every --slo), 2 wrong usage, 128+N stopped by signal N.",
		Args: noArguments("config"),
	}
	f := cmd.Flags()
	f.StringVar(&r.Config, "config", "", "the current config.toml; keys that are not searched keep its values")
	f.StringVar(&r.Objective, "objective", "", "cost or instance_hours (default: cost if the model has a price)")
	f.StringArrayVar(&r.SLO, "slo", nil, "what must hold, such as p95_wait<=60s (can be repeated; default: a p95 wait that is not longer than now)")
	f.StringArrayVar(&r.Fixed, "keep", nil, "a key not to change: idle_count, idle_time, scale_factor, periods, max_instances, scale_throttle "+
		"(can be repeated)")
	f.IntSliceVar(&r.Capacities, "capacity", nil, "values of capacity_per_instance at which jobs run equally well (default: only the current value)")
	f.Float64Var(&r.Train, "train", 0.6, "share of the jobs to learn from; the rest is the test")
	f.IntVar(&r.Budget, "budget", 120, "effort: number of runs over the jobs to learn from")
	f.StringVar(&r.Policy, "policy", "", "write the policy to this file (default: below the text report)")
	return simulation(env, cmd, &r.Setup, &r.Output, "text, json or html", func(ctx context.Context, _ []string, streams simcmd.Streams) error {
		return simcmd.Recommend(ctx, r, streams)
	})
}

// simulation gives cmd the flags of every simulation, and runs it until it ends or a signal comes. formats names the formats of its report.
func simulation(env environment, cmd *cobra.Command, s *simcmd.Setup, o *simcmd.Output, formats string,
	run func(ctx context.Context, args []string, streams simcmd.Streams) error) *cobra.Command {
	setupFlags(cmd, s)
	outputFlags(cmd, o, formats)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := atLeast(cmd, 1, "replicas", "repeat", "budget"); err != nil {
			return err
		}
		ctx, _, stop := signals(cmd.Context(), endings()...)
		defer stop()
		err := run(ctx, args, streams(env))
		if ctx.Err() != nil && err != nil {
			return &exitError{code: signalCode(ctx), err: err}
		}
		return simulated(err)
	}
	return cmd
}
