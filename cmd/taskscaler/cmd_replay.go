package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/internal/explain"
)

func newReplay(env environment) *cobra.Command {
	var utc bool
	q := explain.ReplayRequest{Out: env.stdout}
	cmd := &cobra.Command{
		Use:   "replay JOURNAL",
		Short: "Replay a journal: every decision as it was made, and the state at the end",
		Long: "replay runs the decision code of the manager on a journal (a directory, or one segment of it). It prints one line for each decision, then the\n" +
			"state at the end and a summary. It changes nothing, and the manager may be running.\n\n" +
			"Exit codes: 0 success; 1 failure, or the replay decided differently than the manager did (another version wrote the journal); 2 wrong usage.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return errors.New("name one journal: its directory or one segment of it; `taskscaler status --json` shows the directory of a " +
					"running manager")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			soon, _, stop := signals(cmd.Context(), endings()...)
			defer stop()
			q.Path, q.Location, q.Now = args[0], location(utc), time.Now()
			if err := q.Check(); err != nil {
				return usage(cmd, err)
			}
			if isTerminal(env.stderr) && !isTerminal(env.stdout) {
				q.Progress = env.stderr
			}
			return failed(unlessUnread(explain.Replay(soon, q)))
		},
	}
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
