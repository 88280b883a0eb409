package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/taskscaler/taskscaler/examples/runner"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// Executor runs a job's script in the shell of the instance, in a folder of its own below the home folder.
type Executor struct {
	Shell string // the name or path of a POSIX shell of the instance
}

var _ runner.Executor = Executor{}

// word is what needs no quoting in any shell.
var word = regexp.MustCompile(`^[A-Za-z0-9_./-]+$`)

func (e Executor) check() error {
	if !word.MatchString(e.Shell) {
		return fmt.Errorf("-shell %q is not the name or path of a shell: write for example -shell bash", e.Shell)
	}
	return nil
}

// Check refuses a job that asks for a container.
func (e Executor) Check(job *runner.Job) error {
	if job.Image != "" {
		return fmt.Errorf(`key "image": this executor runs the script on the instance itself, not in a container of %q: remove the key`, job.Image)
	}
	return nil
}

// folder is the job's work folder, relative to the home folder. Only one lease at a time has this slot of the instance.
func folder(lease *taskscaler.Lease) string { return fmt.Sprintf("builds/slot-%d", lease.Slot()) }

// remove removes the folder $1, also if the job made parts of it unwritable.
const remove = `chmod -R u+rwX "$1" 2>/dev/null; rm -rf "$1"`

// Prepare makes an empty work folder. What an earlier job left there, whose executor was killed, is removed.
func (e Executor) Prepare(ctx context.Context, on *runner.Instance, _ *runner.Job) error {
	return onInstance(ctx, on, `command -v "$2" >/dev/null || { echo "the shell $2 is not installed" >&2; exit 1; }
`+remove+` && mkdir -p "$1" && chmod 700 "$1"`, folder(on.Lease), e.Shell)
}

// Cleanup removes the work folder.
func (e Executor) Cleanup(ctx context.Context, on *runner.Instance) error {
	return onInstance(ctx, on, remove, folder(on.Lease))
}

// onInstance runs a shell script of ours. Its arguments need no quoting.
func onInstance(ctx context.Context, on *runner.Instance, script string, args ...string) error {
	var said bytes.Buffer
	line := "sh -c " + runner.Quote(script) + " sh " + strings.Join(args, " ")
	err := on.Client.Run(ctx, connector.RunOptions{Command: line, Stderr: &said})
	if text := strings.TrimSpace(said.String()); err != nil && text != "" {
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// Run streams variables and script to a shell in the work folder. When ctx ends, the connector ends the shell with all its processes.
func (e Executor) Run(ctx context.Context, on *runner.Instance, job *runner.Job, stdout, stderr io.Writer) error {
	err := on.Client.Run(ctx, connector.RunOptions{
		Command: "sh -c " + runner.Quote(fmt.Sprintf("cd %s && exec %s -s", folder(on.Lease), e.Shell)),
		Stdin:   strings.NewReader(job.Input()), Stdout: stdout, Stderr: stderr,
	})
	var exit *connector.ExitError
	switch {
	case errors.As(err, &exit) && !exit.Unseen():
		return &runner.BuildError{ExitCode: exit.ExitCode()}
	case err != nil && !sent(err):
		return fmt.Errorf("%w: %w", runner.ErrNotStarted, err)
	}
	return err
}

// sent reports whether a shell may have got the script.
func sent(err error) bool {
	var lost *connector.LostError
	var cancelled *connector.CancelError
	var refused *connector.RefusedError
	switch {
	case errors.As(err, &refused):
		return false
	case errors.As(err, &lost):
		return lost.Sent
	case errors.As(err, &cancelled):
		return cancelled.Sent
	}
	return true
}
