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
		Short: "Say why the fleet is as it is: what was created, held back, removed or refused, and because of what",
		Long: "explain replays the journal of the running manager and says in sentences what is there, what is wanted and why, what holds it back, why idle\n" +
			"instances stay, who waits for what, what changes next, and what was decided lately. With --instance, --key or --at it tells the whole life\n" +
			"of one instance, everything about one job's key, or how things stood at a moment and what was decided around it.\n\n" +
			"Without a running manager it reads the journal of --config FILE or --journal DIR.\n\n" +
			"Exit codes: 0 explained, 1 failed (the journal knows no such instance, key or moment), 2 wrong usage.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			soon, _, stop := signals(cmd.Context(), endings()...)
			defer stop()
			q.Location, q.Now, q.Runner = location(utc), time.Now(), flags.runner
			q.Journals = func() (explain.Journals, error) { return flags.client(env) }
			if err := notEmpty(cmd); err != nil {
				return err
			}
			if err := q.Check(); err != nil {
				return usage(cmd, err)
			}
			if flags.socket != "" && (q.Journal != "" || q.Config != "") {
				return usage(cmd, errors.New("--socket excludes --journal and --config: it asks the running manager for its journal"))
			}
			return failed(unlessUnread(explain.Run(soon, q)))
		},
	}
	flags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&q.Instance, "instance", "", "tell the life of this instance")
	f.StringVar(&q.Key, "key", "", "tell everything about this key: its waits split by cause, its leases")
	f.StringVar(&q.At, "at", "", `tell of this moment: RFC 3339, "2026-03-02 14:05", 14:05:10 (today or yesterday), or -10m`)
	f.StringVar(&q.Config, "config", "", "read the journal of this config.toml's runner; no manager needs to run")
	f.StringVar(&q.Journal, "journal", "", "read the journal in this directory, or one segment of it")
	f.IntVar(&q.Last, "last", 10, "how many decisions to tell")
	f.BoolVar(&q.JSON, "json", false, "print JSON: docs/operations.md describes it")
	f.BoolVar(&utc, "utc", false, "tell times in UTC instead of local time")
	return cmd
}
