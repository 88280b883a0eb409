package jobexec

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/taskscaler/taskscaler/internal/control"
)

// isJob reports whether a command that an instance received is that of a job, and not one that looks after what is left of it.
func isJob(command string) bool { return strings.Contains(command, "TASKSCALER_KEY=") }

var errNoSpace = errors.New("no space left on device")

type failingStream struct{ err error }

func (f failingStream) Write([]byte) (int, error) { return 0, f.err }
func (f failingStream) Read([]byte) (int, error)  { return 0, f.err }

// TestMeaningOfExitCodes: a wrapper repeats a command after ExitFailed, so this code must never follow a command that may have run. The other
// codes of exec say what happened; the verdict about the instance never rests on what the caller sent alone.
func TestMeaningOfExitCodes(t *testing.T) {
	const quick, long = "echo started; exit 3", "echo started; sleep 60"
	for name, c := range map[string]struct {
		fault    fault
		script   string
		out      io.Writer
		in       io.Reader
		when     func(r *rig, end context.CancelCauseFunc) // once the command has said something
		before   func(r *rig, end context.CancelCauseFunc) // once the lease is granted; the instance does not answer
		code     int
		ran      bool
		released string // how the (last) lease ended
		says     string
	}{
		"it runs":                           {script: quick, code: 3, ran: true, released: "release k"},
		"a signal ends it":                  {script: "kill -TERM $$", code: 143, ran: true, released: "release k"},
		"not started: no instance":          {fault: noSuchPort, script: quick, code: ExitFailed, released: "release k unreachable", says: "cannot be reached"},
		"not started: session cut":          {fault: cutAtSession, script: quick, code: ExitFailed, released: "release k unreachable", says: "not started"},
		"not started: session cut once":     {fault: cutAtSession + cutFirstOnly, script: quick, code: 3, ran: true, released: "release k"},
		"not started: session refused":      {fault: refusesSessions, script: quick, code: ExitFailed, released: "release k unreachable", says: "refuses another session"},
		"not started: session refused once": {fault: refusesSessions + cutFirstOnly, script: quick, code: 3, ran: true, released: "release k"},
		"not started: command refused":      {fault: refusesCommands, script: quick, code: ExitFailed, released: "release k unreachable", says: "refused to run"},
		"not started: command refused once": {fault: refusesCommands + cutFirstOnly, script: quick, code: 3, ran: true, released: "release k"},
		"not started: it runs no command":   {fault: failsCommands, script: quick, code: ExitFailed, released: "release k unreachable", says: "runs no commands"},
		"fails once, and nobody knows why":  {fault: failsCommands + cutFirstOnly, script: quick, code: 1, released: "release k"},
		"may have run: no status":           {fault: closesCommands, script: quick, code: ExitLost, released: "release k unreachable", says: "exit status is unknown"},
		"may have run: no status once":      {fault: closesCommands + cutFirstOnly, script: quick, code: ExitLost, released: "release k", says: "exit status is unknown"},
		"not started: too long":             {script: "exit " + strings.Repeat("0", 250_000), code: ExitFailed, released: "release k", says: "bytes"},
		"may have run: cut before":          {fault: cutBeforeRun, script: quick, code: ExitLost, released: "release k unreachable", says: "it may run"},
		"may have run: cut before once":     {fault: cutBeforeRun + cutFirstOnly, script: quick, code: ExitLost, released: "release k", says: "it may run"},
		"ran: cut before it is said":        {fault: cutBeforeConfirm, script: quick, code: ExitLost, ran: true, released: "release k unreachable"},
		"ran: cut once":                     {fault: cutWhileRunning + cutFirstOnly, script: long, code: ExitLost, ran: true, released: "release k", says: "exit status is unknown"},
		"ran: cut before the status":        {fault: cutBeforeStatus + cutFirstOnly, script: quick, code: ExitLost, ran: true, released: "release k"},
		"ran to 0: stdout full":             {script: "echo x", out: failingStream{errNoSpace}, code: ExitLost, ran: true, released: "release k", says: "no space left"},
		"runs on: stdout full":              {script: long, out: failingStream{errNoSpace}, code: ExitLost, ran: true, released: "release k", says: "no space left"},
		"runs on: stdin fails":              {script: long, in: failingStream{errNoSpace}, code: ExitLost, ran: true, released: "release k", says: "no space left"},
		"runs on: broken pipe":              {script: long, out: failingStream{syscall.EPIPE}, code: 141, ran: true, released: "release k"},
		"runs: timeout":                     {script: long, when: ends(ErrTimeout), code: ExitTimeout, ran: true, released: "release k"},
		"runs: SIGINT":                      {script: long, when: ends(&SignalError{syscall.SIGINT}), code: 130, ran: true, released: "release k"},
		"runs: caller gives up":             {script: long, when: ends(context.Canceled), code: ExitLost, ran: true, released: "release k"},
		"runs: revoked":                     {script: long, when: revokes, code: ExitLost, ran: true, released: "revoked k", says: "it is missing"},
		"not started: timeout":              {script: quick, before: ends(ErrTimeout), code: ExitTimeout, released: "release k"},
		"not started: caller gives up":      {script: quick, before: ends(context.Canceled), code: ExitFailed, released: "release k"},
		"not started: revoked":              {script: quick, before: revokes, code: 3, ran: true, released: "release k"},
		"not started: released":             {script: quick, before: releases, code: ExitFailed, says: "another caller released it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, s := newRig(t, 1), startInstance(t, c.fault)
			ctx, end := context.WithCancelCause(t.Context())
			defer end(nil)
			job := Job{Key: "k", Argv: []string{"sh", "-c", c.script}, Stdin: c.in, Stdout: &r.stdout, Stderr: &r.stderr, Dial: s.dial}
			if c.out != nil {
				job.Stdout = c.out
			}
			if c.before != nil {
				job.Dial = silentFirst(s, func() { c.before(r, end) })
			}
			done := make(chan outcome, 1)
			go func() {
				code, err := Run(ctx, control.NewClient(r.path), job)
				done <- outcome{code, err}
			}()
			if c.when != nil {
				waitFor(t, "the command to start", func() bool { return r.stdout.String() != "" })
				c.when(r, end)
			}
			o := <-done
			if o.code != c.code || c.says != "" && (o.err == nil || !strings.Contains(o.err.Error(), c.says)) {
				t.Errorf("exit code %d, want %d; %v", o.code, c.code, o.err)
			}
			if ran := s.ran.Load() > 0; ran != c.ran || ran && o.code == ExitFailed {
				t.Errorf("exit code %d, and the command ran %d times", o.code, s.ran.Load())
			}
			if s.ran.Load() > 1 {
				t.Errorf("it ran %d times", s.ran.Load())
			}
			if strings.Contains(r.stdout.String()+r.stderr.String(), "taskscaler-") {
				t.Errorf("the mark is in the output: %q, %q", r.stdout.String(), r.stderr.String())
			}
			if c.released != "" {
				r.await(c.released)
			}
		})
	}
}

// ends ends exec for this cause.
func ends(cause error) func(*rig, context.CancelCauseFunc) {
	return func(_ *rig, end context.CancelCauseFunc) { end(cause) }
}

func revokes(r *rig, _ context.CancelCauseFunc) { r.manager.Revoke("k", "missing") }

func releases(r *rig, _ context.CancelCauseFunc) { _ = r.manager.Release(context.Background(), "k") }
