package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/internal/explain"
)

func newReplay(env environment) *cobra.Command {
	var flags socketFlags
	var utc bool
	q := explain.ReplayRequest{Out: env.stdout}
	cmd := &cobra.Command{
		Use:   "replay [JOURNAL]",
		Short: "Replay a journal: every decision as it was made, and the state at the end",
		Long: "replay runs the decision code of the manager on a journal (a directory, or one segment of it; without one, that of the\n" +
			"running manager, or of --config FILE). It prints one line for each decision, then the state at the end and a summary. It changes\n" +
			"nothing, and the manager may be running.\n\n" +
			"Exit codes: 0 success; 1 failure, or the replay decided differently than the manager did (another version wrote the journal); 2 wrong usage.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && args[0] == "" {
				return errors.New("name one journal: its directory or one segment of it; without one, replay reads that of the running manager")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			soon, _, stop := signals(cmd.Context(), endings()...)
			defer stop()
			q.Location, q.Now, q.Source.Runner = location(utc), time.Now(), flags.runner
			if len(args) == 1 {
				q.Path = args[0]
			}
			q.Source.Journals = func() (explain.Journals, error) { return flags.client(env) }
			if err := q.Check(); err != nil {
				return usage(cmd, err)
			}
			if flags.socket != "" && (q.Path != "" || q.Source.Config != "") {
				return usage(cmd, errors.New("--socket excludes a journal that is named and --config: use one of them"))
			}
			if isTerminal(env.raw.stderr) && !isTerminal(env.raw.stdout) {
				q.Progress = env.raw.stderr
			}
			return failed(unlessUnread(explain.Replay(soon, q)))
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&q.Source.Config, "config", "", "read the journal of the runner of this config.toml; the manager need not run")
	cmd.Flags().StringVar(&q.Until, "until", "", `stop at this time: RFC 3339, "2026-03-02 14:05", 14:05:10 (today or yesterday), or -10m`)
	cmd.Flags().BoolVar(&q.JSON, "json", false, "print one line of JSON for each decision, and one for the end: docs/operations.md describes them")
	cmd.Flags().BoolVar(&utc, "utc", false, "show times in UTC instead of local time")
	return cmd
}

func location(utc bool) *time.Location {
	if utc {
		return time.UTC
	}
	return time.Local
}
