package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newDrain(env environment) *cobra.Command {
	var flags socketFlags
	var undo bool
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Let the running manager take no new work, and wait until the last lease is gone",
		Long: "drain makes the running manager (or one runner of it) refuse new leases and retire its idle instances, and returns when the last\n" +
			"lease is gone. The manager goes on running: stop it with SIGTERM, or let it take work again with --undo.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			soon, _, stop := signals(cmd.Context(), endings()...)
			defer stop()
			manager, err := flags.client(env)
			if err != nil {
				return failed(err)
			}
			do, done := manager.Drain, "drained"
			if undo {
				do, done = manager.Undrain, "new work is taken again"
			}
			if err := do(soon, flags.runner); err != nil {
				return failed(err)
			}
			_, err = fmt.Fprintln(env.stdout, done)
			return failed(err)
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&undo, "undo", false, "take new work again; a drain that is under way fails")
	return cmd
}
