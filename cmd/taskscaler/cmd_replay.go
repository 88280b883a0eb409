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
		Long: "replay steps the very code that decides through what a journal recorded (a directory, or one segment of it), prints every decision on a line\n" +
			"as it is made, then how things stood at the end, and what it did. It touches nothing, and the manager may be running.\n\n" +
			"Exit codes: 0 replayed; 1 failed, or the replay decided otherwise than the manager did (another version wrote the journal); 2 wrong usage.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return errors.New("name one journal: its directory or one segment of it; `taskscaler status --json` has that of a " +
					"manager that runs")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			soon, _, stop := signals(cmd.Context(), endings()...)
			defer stop()
			q.Path, q.Location, q.Now = args[0], location(utc), time.Now()
			if err := notEmpty(cmd); err != nil {
				return err
			}
			if err := q.Check(); err != nil {
				return usage(cmd, err)
			}
			if isTerminal(env.stderr) && !isTerminal(env.stdout) {
				q.Progress = env.stderr
			}
			return failed(unlessUnread(explain.Replay(soon, q)))
		},
	}
	cmd.Flags().StringVar(&q.Until, "until", "", `end at this moment: RFC 3339, "2026-03-02 14:05", 14:05:10 (today or yesterday), or -10m`)
	cmd.Flags().BoolVar(&q.JSON, "json", false, "print a line of JSON for each decision, and one for the end: docs/operations.md describes them")
	cmd.Flags().BoolVar(&utc, "utc", false, "tell times in UTC instead of local time")
	return cmd
}

func location(utc bool) *time.Location {
	if utc {
		return time.UTC
	}
	return time.Local
}
