package main

import (
	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/internal/safetext"
)

func newDrain(env environment) *cobra.Command {
	var flags socketFlags
	var undo bool
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Make the running manager refuse new work, and wait until the last lease has ended",
		Long: "drain makes the running manager (or one of its runners) refuse new leases and retire its idle instances. It returns when the last\n" +
			"lease has ended. The manager keeps running: stop it with SIGTERM, or let it accept work again with --undo.",
		Args: noArguments("runner"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			soon, _, stop := signals(cmd.Context(), endings()...)
			defer stop()
			manager, err := flags.client(env)
			if err != nil {
				return failed(err)
			}
			do, done := manager.Drain, "drained"
			if undo {
				do, done = manager.Undrain, "the drain is ended; new work is accepted again"
			}
			if err := do(soon, flags.runner); err != nil {
				if soon.Err() != nil {
					return &exitError{code: signalCode(soon), err: err}
				}
				return failed(err)
			}
			_, err = safetext.Fprintf(env.stdout, "%s\n", done)
			return failed(err)
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&undo, "undo", false, "end the drain and accept new work again; a waiting drain command fails")
	return cmd
}
