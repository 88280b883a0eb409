package runner

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// The exit codes of a Command. A script's own exit code is passed on.
const (
	ExitUsage     = 2   // wrong arguments, a wrong job file or a wrong config.toml
	ExitRefused   = 1   // the job may not run, or cannot run anywhere
	ExitTimeout   = 124 // the job took longer than its time-out
	ExitSystem    = 125 // a system failure
	ExitCancelled = 130 // a signal ended the job
)

// Command is a program that runs one job.
type Command struct {
	Name     string
	Flags    func(flags *flag.FlagSet) // adds the executor's own flags; nil: there are none
	Executor func() (Executor, error)  // is called after the flags were read
	Stdin    io.Reader
	Stdout   io.Writer
	Stderr   io.Writer
}

// Main runs the command, and exits. The first SIGINT or SIGTERM cancels the job, and a second one ends the program at once.
func (c Command) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	os.Exit(c.Run(ctx, os.Args[1:]))
}

// Run runs the job that the arguments name, and returns the exit code.
func (c Command) Run(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	flags.SetOutput(c.Stderr)
	flags.Usage = func() {
		_, _ = fmt.Fprintf(c.Stderr, "usage: %s [flags] JOB.json (- reads standard input)\n", c.Name)
		flags.PrintDefaults()
	}
	path := flags.String("config", "", "a `config.toml`, whose first runner has the instances; without it they are processes of this machine")
	verbose := flags.Bool("v", false, "log what the manager does")
	if c.Flags != nil {
		c.Flags(flags)
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return ExitUsage
	case flags.NArg() != 1:
		flags.Usage()
		return ExitUsage
	}
	job, err := c.job(flags.Arg(0))
	if err != nil {
		return c.fail(ExitUsage, err)
	}
	executor, err := c.Executor()
	if err != nil {
		return c.fail(ExitUsage, err)
	}
	level := slog.LevelError
	if *verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(c.Stderr, &slog.HandlerOptions{Level: level}))
	return c.serve(ctx, *path, job, executor, log)
}

func (c Command) job(name string) (*Job, error) {
	if name == "-" {
		return ReadJob("standard input", c.Stdin)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("the job file cannot be read: %w", err)
	}
	defer file.Close()
	return ReadJob(name, file)
}

// patience is how long the job may wait for capacity. A fleet that was just started may have none yet.
const patience = 5 * time.Minute

// serve starts the manager, runs the job, and stops the manager.
func (c Command) serve(ctx context.Context, config string, job *Job, executor Executor, log *slog.Logger) int {
	dir, err := os.MkdirTemp("", "taskscaler-"+c.Name+"-")
	if err != nil {
		return c.fail(ExitSystem, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	manager, err := StartFleet(ctx, config, dir, log)
	var wrong *ConfigError
	switch {
	case errors.As(err, &wrong):
		return c.fail(ExitUsage, err)
	case err != nil && ctx.Err() != nil:
		return c.result(&CancelledError{Cause: context.Cause(ctx)})
	case err != nil:
		return c.fail(ExitSystem, err)
	}
	runner := &Runner{
		Manager: manager, Executor: executor, Stdout: c.Stdout, Stderr: c.Stderr, Patience: patience,
		Note: func(sentence string) { fmt.Fprintf(c.Stderr, "%s: %s\n", c.Name, sentence) },
	}
	code := c.result(runner.Run(ctx, job))

	// Also after a signal: instances that nobody deletes cost money.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := manager.Shutdown(end); err != nil {
		fmt.Fprintf(c.Stderr, "%s: %v\n", c.Name, err)
	}
	return code
}

// result reports how the job ended, and returns the exit code.
func (c Command) result(err error) int {
	var build *BuildError
	var timeout *TimeoutError
	var cancelled *CancelledError
	switch {
	case err == nil:
		fmt.Fprintf(c.Stderr, "%s: the job succeeded\n", c.Name)
		return 0
	case errors.As(err, &timeout):
		return c.fail(ExitTimeout, err)
	case errors.As(err, &cancelled):
		return c.fail(ExitCancelled, err)
	case errors.As(err, &build) && build.Err == nil:
		return c.fail(build.ExitCode, err)
	case errors.As(err, &build):
		return c.fail(ExitRefused, err)
	}
	return c.fail(ExitSystem, err)
}

func (c Command) fail(code int, err error) int {
	fmt.Fprintf(c.Stderr, "%s: %v\n", c.Name, err)
	return code
}
