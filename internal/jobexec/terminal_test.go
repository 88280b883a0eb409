package jobexec

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// seen is a client that reports what it is asked to run.
type seen struct {
	connector.Client
	opts chan<- connector.RunOptions
	err  error
}

func (s seen) Run(_ context.Context, opts connector.RunOptions) error {
	s.opts <- opts
	return s.err
}

func (seen) Close() error { return nil }

// TestTerminal: the terminal is prepared once, right before the command, and is given back when the command has ended.
func TestTerminal(t *testing.T) {
	for name, ends := range map[string]struct {
		err  error
		code int
	}{"well": {nil, 0}, "with a code": {connector.NewExitError(7, ""), 7}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			opts := make(chan connector.RunOptions, 1)
			pty, calls := &connector.PTY{Term: "vt220"}, ""
			job := Job{Key: "k", Stdout: &r.stdout, Stderr: &r.stderr, Dial: func(context.Context, provider.ConnectInfo, connector.DialOptions) (connector.Client, error) {
				calls += "dial "
				return seen{opts: opts, err: ends.err}, nil
			}, Terminal: func() (*connector.PTY, func(), error) {
				calls += "open "
				return pty, func() { calls += "restore" }, nil
			}}
			if code, err := Run(t.Context(), control.NewClient(r.path), job); code != ends.code || err != nil {
				t.Errorf("%d, %v", code, err)
			}
			got := <-opts
			if got.PTY != pty || !strings.HasSuffix(got.Command, `sh -c 'exec "${SHELL:-/bin/sh}" -l'`) || !strings.Contains(got.Command, "TASKSCALER_KEY=k") {
				t.Errorf("%+v", got)
			}
			if calls != "dial open restore" {
				t.Errorf("calls: %s", calls)
			}
			r.await("release k")
		})
	}
}

// TestTerminalThatCannotBePrepared: the command was not started, and the instance is not at fault.
func TestTerminalThatCannotBePrepared(t *testing.T) {
	r := newRig(t, 1)
	job := r.job("true")
	job.Terminal = func() (*connector.PTY, func(), error) { return nil, nil, errors.New("no such device") }
	if code, err := Run(t.Context(), control.NewClient(r.path), job); code != ExitFailed || err == nil || !strings.Contains(err.Error(), "no such device") {
		t.Errorf("%d, %v", code, err)
	}
	r.await("release k")
}

// TestNotesAtARawTerminal: such a terminal needs a carriage return at the end of each line.
func TestNotesAtARawTerminal(t *testing.T) {
	var out safeBuffer
	r := &run{job: Job{Stderr: &out}}
	r.raw.Store(true)
	r.note("one")
	r.raw.Store(false)
	r.note("two")
	if got := out.String(); got != "taskscaler: one\r\ntaskscaler: two\n" {
		t.Errorf("%q", got)
	}
}
