package main

import (
	"errors"
	"log/slog"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/daemon"
	"github.com/taskscaler/taskscaler/pkg/plugin"
)

func newRun(env environment) *cobra.Command {
	var flags socketFlags
	var path string
	cmd := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Manage the instances of a configuration's autoscaling runners",
		Long: "run manages the instances of each autoscaling runner of the file, or of the runner that --runner selects, until SIGTERM, SIGINT or SIGQUIT.\n" +
			"It then shuts down gracefully: it grants no new leases, waits for the live leases (at most shutdown_timeout), deletes the instances if\n" +
			"delete_instances_on_shutdown is set, and ends with exit code 0. A second signal stops it at once: instances, leases and state stay for\n" +
			"the next start.\n\n" +
			"SIGHUP reads the file again: policies, limits, throttle, intervals and deadlines change at once. A file with faults changes nothing.\n\n" +
			"The control API is JSON over HTTP on a Unix socket that only its owner can use: GET /healthz, /readyz, /v1/status.\n\n" +
			"Exit codes: 0 graceful shutdown, 1 failure, 2 wrong usage, 128+N stopped at once by signal N.",
		Args: noArguments("config"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := required(cmd, "config", "the runner's config.toml"); err != nil {
				return err
			}
			return runManager(cmd, env, path, flags)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&path, "config", "", "the runner's config.toml")
	_ = cmd.MarkFlagFilename("config", "toml")
	return cmd
}

func runManager(cmd *cobra.Command, env environment, path string, flags socketFlags) error {
	file, warnings, err := readConfig(path)
	if err != nil {
		return failed(err)
	}
	log, endLog := daemon.OpenLog(file, env.stderr, slog.LevelDebug)
	defer endLog()
	for _, p := range warnings {
		log.Warn("the configuration has a warning", "warning", p.Error())
	}
	listener, err := control.Listen(flags.path(env), flags.socket == "")
	if err != nil {
		return failed(err)
	}
	soon, now, stop := signals(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer stop()
	reload, stopReload := reloads()
	defer stopReload()
	err = daemon.Serve(now, soon, daemon.Options{
		File: file, Select: flags.runner, Logger: log,
		Plugins: plugin.DefaultFindOptions(env.getenv), Version: versionInfo().Version, Reload: reload,
	}, listener)
	if errors.Is(err, daemon.ErrStopped) {
		return &exitError{code: signalCode(now), err: err}
	}
	return failed(err)
}
