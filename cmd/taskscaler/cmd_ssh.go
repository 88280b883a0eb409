package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newSSH(env environment) *cobra.Command {
	flags := execFlags{tty: true}
	cmd := &cobra.Command{
		Use:   "ssh [flags] KEY",
		Short: "Open a shell on a leased instance",
		Long: "ssh leases a slot from the running manager under KEY, opens the login shell of the remote user in a terminal, and releases the slot when the\n" +
			"shell ends. It is `exec --tty --key KEY` with a shell as the command: it waits for a slot, uses its capacity, and never enters the slot of a\n" +
			"job. A KEY that is in use is refused.\n\n" +
			"Exit codes: that of the shell, or those of exec.",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return errors.New("name the key of the lease: ssh [flags] KEY")
			case len(args) > 1:
				return errors.New("ssh takes only the key of the lease; `taskscaler exec --tty` runs a command")
			case args[0] == "":
				return errors.New("the key of the lease is empty")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := positive(cmd, "timeout"); err != nil {
				return err
			}
			flags.key = args[0]
			return execCommand(cmd.Context(), env, flags, nil)
		},
	}
	flags.add(cmd)
	cmd.Flags().DurationVar(&flags.timeout, "timeout", 0, "the longest time for waiting and the shell together (default: no limit)")
	return cmd
}
