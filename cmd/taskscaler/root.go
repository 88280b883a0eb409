package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/safetext"
)

// environment is what a command uses of its process.
type environment struct {
	stdin          io.Reader
	stdout, stderr io.Writer // run puts a safetext.Guard before them
	getenv         func(string) string

	// raw are the streams without the guards: for the output of a job, and for what only a terminal gets.
	raw struct{ stdout, stderr io.Writer }
}

// guarded returns the environment with guards before its streams, and their end.
func (e environment) guarded() (_ environment, end func()) {
	stdout, stderr := safetext.NewGuard(e.stdout), safetext.NewGuard(e.stderr)
	e.raw.stdout, e.raw.stderr = e.stdout, e.stderr
	e.stdout, e.stderr = stdout, stderr
	return e, func() { _, _ = stdout.Close(), stderr.Close() } // the command has failed before, if they fail
}

// Exit codes. The exit codes of exec are in package jobexec.
const (
	exitFailed = 1
	exitUsage  = 2
)

// exitError is an error with its exit code. If err is nil, nothing is printed.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, env environment) int {
	env, end := env.guarded()
	defer end()
	root := newRoot(env)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	var exit *exitError
	if !errors.As(err, &exit) { // an error of cobra: an unknown flag or a wrong argument
		exit = usage(cmd, err)
	}
	if exit.err != nil {
		tell(env.stderr, string(safetext.Sprintf("taskscaler: %s\n", safetext.Lines(exit.err.Error()))))
	}
	return exit.code
}

// tellPatience is how long the end of the program waits for somebody to read its last message.
const tellPatience = 5 * time.Second

// tell writes the last message of the program. If nobody reads it, the program ends all the same.
func tell(w io.Writer, message string) {
	told := make(chan struct{})
	go func() {
		defer close(told)
		_, _ = io.WriteString(w, message)
	}()
	select {
	case <-told:
	case <-time.After(tellPatience):
	}
}

func newRoot(env environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "taskscaler",
		Short: "Keep a group of instances at the right size for a queue of jobs",
		Long: "taskscaler reads GitLab Runner's config.toml. For each autoscaling runner, it keeps as many instances as the policies ask for, and\n" +
			"leases their slots to jobs.\n\nExit codes: 0 success, 1 failure, 2 wrong usage. `taskscaler exec --help` lists those of exec.",
		Args:              unknownCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: checkFlags,
		SilenceErrors:     true,
		SilenceUsage:      true,
	}
	root.SetIn(env.stdin)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	root.SetFlagErrorFunc(plainFlagError)
	root.AddCommand(newRun(env), newExec(env), newSSH(env), newStatus(env), newTunnel(env), newDrain(env), newExplain(env), newReplay(env), newValidate(env), newPlugin(env), newSimulate(env), newVersion(env))
	strictHelpers(root)
	return root
}

// failed gives err the exit code 1.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: exitFailed, err: err}
}

// socketFlags are the flags of the commands that use a running manager.
type socketFlags struct {
	socket, runner string
}

func (f *socketFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.socket, "socket", "",
		"control socket (default $XDG_RUNTIME_DIR/taskscaler/control.sock, or else /tmp/taskscaler-UID/control.sock)")
	cmd.Flags().StringVar(&f.runner, "runner", "", "name or id of a runner, or its position in the file")
}

// path returns the path of the control socket.
func (f *socketFlags) path(env environment) string {
	if f.socket != "" {
		return f.socket
	}
	return control.DefaultSocket(env.getenv)
}

// client returns a client of the running manager.
func (f *socketFlags) client(env environment) (*control.Client, error) {
	if f.socket != "" {
		return control.NewClient(f.socket), nil
	}
	path, err := control.FindSocket(env.getenv)
	if err != nil {
		return nil, err
	}
	return control.NewClient(path), nil
}
