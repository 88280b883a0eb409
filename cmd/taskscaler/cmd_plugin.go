package main

import "github.com/spf13/cobra"

func newPlugin(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugin",
		Short: "Write a plugin",
		Args:  unknownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPluginNew(env))
	return cmd
}
