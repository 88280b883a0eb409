package main

import "github.com/spf13/cobra"

func newPlugin(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugin",
		Short: "Find, examine, pin, check and write provider plugins",
		Args:  unknownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPluginList(env), newPluginInfo(env), newPluginPath(env), newPluginInstall(env), newPluginPush(env), newPluginLock(env), newPluginNew(env), newPluginTest(env), newPluginHost(env))
	return cmd
}
