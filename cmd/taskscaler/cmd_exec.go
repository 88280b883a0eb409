package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/daemon"
	"github.com/taskscaler/taskscaler/internal/jobexec"
	"github.com/taskscaler/taskscaler/pkg/plugin"
)

const execFailed = jobexec.ExitFailed

// execFlags are the flags of exec.
type execFlags struct {
	socketFlags
	config, key string
	job         jobexec.Job
	tty         bool
	timeout     time.Duration

	uploads, downloads []string // LOCAL:REMOTE, REMOTE:LOCAL
}

func newExec(env environment) *cobra.Command {
	var flags execFlags
	cmd := &cobra.Command{
		Use:   "exec [flags] -- COMMAND [ARG…]",
		Short: "Run one command on a leased instance",
		Long: "exec leases a slot from the running manager, runs the command on the instance over SSH, and releases the slot. With --config it starts a\n" +
			"private manager for this command, and removes its instances and state at the end.\n\n" +
			"Standard input, output and error are those of the command. Its arguments are passed unchanged. Its environment contains\n" +
			"TASKSCALER_KEY, TASKSCALER_INSTANCE, TASKSCALER_SLOT and TASKSCALER_USE. While exec waits for a slot, a line on standard error says why.\n\n" +
			"--upload copies files or folders to the instance before the command, and --download copies them from it when the command has ended, whatever its\n" +
			"exit code is. A relative REMOTE starts at the home of the remote user, where the command starts too. The target is the new name; with a slash at\n" +
			"its end, the folder to copy into. Existing files are replaced, existing folders are not. LOCAL must not contain a colon. Files and folders keep\n" +
			"their permissions, and symlinks in folders stay symlinks.\n\n" +
			"With --tty the command has a terminal on the instance: standard error arrives on standard output, and keys such as Ctrl-C go to the command.\n\n" +
			"A process that the command starts in the background and leaves behind may be ended with the command, or may disturb the next job on the\n" +
			"instance. `setsid PROGRAM </dev/null >/dev/null 2>&1 &` detaches one that has to go on.\n\n" +
			"Exit codes: that of the command (128+N if signal N ended it), or\n" +
			"  123  the command was or may have been started, and its exit code is unknown: its lease or connection was lost, or its output could not\n" +
			"       be written; or it succeeded, and a --download failed\n" +
			"  124  --timeout or instance_acquire_timeout passed; the command may have run until then\n" +
			"  125  the command was certainly not started: no manager, no reachable instance, a failed --upload, a wrong flag or\n" +
			"       configuration\n" +
			"  130  interrupted (128+N for other signals); the remote processes were ended",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name the command to run: exec [flags] -- COMMAND [ARG…]")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(exclusive(cmd, "config", "socket"), positive(cmd, "timeout")); err != nil {
				return err
			}
			if err := flags.parseCopies(); err != nil {
				return err
			}
			return execCommand(cmd.Context(), env, flags, args)
		},
	}
	flags.add(cmd)
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVar(&flags.config, "config", "", "run a private manager on this config.toml")
	cmd.Flags().StringVar(&flags.key, "key", "", "the key of the lease, which status shows (default: a random key)")
	cmd.Flags().DurationVar(&flags.timeout, "timeout", 0, "the longest time for waiting and running together (default: no limit)")
	cmd.Flags().StringArrayVar(&flags.uploads, "upload", nil, "copy `LOCAL:REMOTE` to the instance before the command; may be repeated")
	cmd.Flags().StringArrayVar(&flags.downloads, "download", nil, "copy `REMOTE:LOCAL` from the instance after the command; may be repeated")
	cmd.Flags().BoolVar(&flags.tty, "tty", false, "give the command a terminal on the instance")
	_ = cmd.MarkFlagFilename("config", "toml")
	return cmd
}

// parseCopies reads --upload and --download.
func (f *execFlags) parseCopies() error {
	for _, text := range f.uploads {
		c, err := jobexec.ParseUpload(text)
		if err != nil {
			return fmt.Errorf("--upload: %w", err)
		}
		f.job.Uploads = append(f.job.Uploads, c)
	}
	for _, text := range f.downloads {
		c, err := jobexec.ParseDownload(text)
		if err != nil {
			return fmt.Errorf("--download: %w", err)
		}
		f.job.Downloads = append(f.job.Downloads, c)
	}
	return nil
}

// execCommand runs the command. It returns at once at the second signal.
func execCommand(ctx context.Context, env environment, flags execFlags, argv []string) error {
	soon, now, stop := signals(ctx, endings()...)
	defer stop()
	if flags.timeout > 0 {
		var cancel context.CancelFunc
		soon, cancel = context.WithTimeoutCause(soon, flags.timeout, jobexec.ErrTimeout)
		defer cancel()
	}
	if flags.tty {
		t := newTerminal(env.stdin, env.getenv)
		defer t.restore() // also after the second signal
		flags.job.Terminal = t.open
	}
	ended := make(chan error, 1)
	go func() {
		if flags.config != "" {
			ended <- execPrivate(soon, env, flags, argv)
			return
		}
		manager, err := flags.client(env)
		if err != nil {
			ended <- &exitError{code: execFailed, err: err}
			return
		}
		ended <- execJob(soon, env, flags, manager, argv)
	}()
	select {
	case err := <-ended:
		return err
	case <-now.Done():
		return &exitError{code: signalCode(now), err: errors.New("stopped at once; the manager revokes the lease after reattach_after_disconnect")}
	}
}

func execJob(ctx context.Context, env environment, flags execFlags, manager *control.Client, argv []string) error {
	job := flags.job
	job.Runner, job.Key, job.Argv = flags.runner, flags.key, argv
	job.Stdin, job.Stdout, job.Stderr = env.stdin, env.raw.stdout, env.raw.stderr
	code, err := jobexec.Run(ctx, manager, job)
	if code == 0 && err == nil {
		return nil
	}
	return &exitError{code: code, err: err}
}

// execPrivate starts a manager for this command. Its instances and state are removed even if the command was interrupted.
func execPrivate(ctx context.Context, env environment, flags execFlags, argv []string) error {
	fail := func(err error) error { return &exitError{code: execFailed, err: err} }
	file, err := load(flags.config, env.stderr)
	if err != nil {
		return fail(err)
	}
	log, endLog := daemon.OpenLog(file, env.stderr, slog.LevelWarn)
	defer endLog()
	manager, err := daemon.StartPrivate(ctx, daemon.Options{
		File: file, Select: flags.runner, Logger: log,
		Plugins: plugin.DefaultFindOptions(env.getenv), Version: versionInfo().Version,
	})
	if err != nil {
		if ctx.Err() != nil {
			ended := jobexec.Ended(ctx, "the private manager was not started")
			return &exitError{code: ended.Code, err: ended}
		}
		return fail(err)
	}
	flags.runner = ""
	result := execJob(ctx, env, flags, manager.Client(), argv)
	if err := manager.Close(context.Background()); err != nil {
		err = fmt.Errorf("cleaning up after the command failed: %w", err)
		var exit *exitError
		if errors.As(result, &exit) {
			return &exitError{code: exit.code, err: errors.Join(exit.err, err)}
		}
		return &exitError{code: 0, err: err} // the code is that of the command, which succeeded
	}
	return result
}

// signalCode returns the exit code for the signal that ended ctx.
func signalCode(ctx context.Context) int {
	var signal *jobexec.SignalError
	if errors.As(context.Cause(ctx), &signal) {
		return signal.ExitCode()
	}
	return exitFailed
}
