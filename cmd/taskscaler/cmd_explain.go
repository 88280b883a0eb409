package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/internal/explain"
)

func newExplain(env environment) *cobra.Command {
	var flags socketFlags
	var utc bool
	q := explain.Request{Out: env.stdout}
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Explain the state of a group: what was created, held back, removed or refused, and why",
		Long: "explain replays the journal of the running manager. It prints the current instances, the wanted size and why, what holds back creates,\n" +
			"why idle instances stay, what each caller waits for, what will happen next, and the latest decisions. With --instance, --key or --at, it\n" +
			"prints the history of one instance, the history of one job's key, or the state at a time and the decisions around it.\n\n" +
			"Without a running manager, use --config FILE or --journal DIR.\n\n" +
			"Exit codes: 0 success, 1 failure (or the journal does not contain the instance, key or time), 2 wrong usage.",
		Args: noArguments("instance"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			soon, _, stop := signals(cmd.Context(), endings()...)
			defer stop()
			q.Location, q.Now, q.Runner = location(utc), time.Now(), flags.runner
			q.Journals = func() (explain.Journals, error) { return flags.client(env) }
			if err := q.Check(); err != nil {
				return usage(cmd, err)
			}
			if flags.socket != "" && (q.Journal != "" || q.Config != "") {
				return usage(cmd, errors.New("--socket excludes --journal and --config: use one of them"))
			}
			return failed(unlessUnread(explain.Run(soon, q)))
		},
	}
	flags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&q.Instance, "instance", "", "show the history of this instance")
	f.StringVar(&q.Key, "key", "", "show the history of this key: its waits by cause, its leases")
	f.StringVar(&q.At, "at", "", `show the state at this time: RFC 3339, "2026-03-02 14:05", 14:05:10 (today or yesterday), or -10m`)
	f.StringVar(&q.Config, "config", "", "read the journal of the runner of this config.toml; the manager need not run")
	f.StringVar(&q.Journal, "journal", "", "read the journal in this directory, or this one segment")
	f.IntVar(&q.Last, "last", 10, "how many decisions to show")
	f.BoolVar(&q.JSON, "json", false, "print JSON: docs/operations.md describes it")
	f.BoolVar(&utc, "utc", false, "show times in UTC instead of local time")
	return cmd
}
