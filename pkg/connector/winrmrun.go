package connector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/taskscaler/taskscaler/internal/winrm"
)

// winrmRun is one command in progress over WinRM.
type winrmRun struct {
	client *winrmClient
	opts   RunOptions
	line   string // for cmd.exe
	out    *gate
	errs   *gate
	ctx    context.Context // of its requests
	stop   context.CancelCauseFunc

	broken  chan error    // a failure of the caller's streams
	lost    chan error    // stdin cannot be sent any more
	started chan struct{} // closed when the server has confirmed the start
	done    chan struct{} // closed when err is set
	err     error
	final   error // of DialRun

	latch          // its mu is for all that follows
	shell   string // id; empty: there is none, or it is deleted
	command string // id
	over    bool   // its exit code is known
	deleted bool   // its shell was deleted
}

func newWinRMRun(c *winrmClient, opts RunOptions, line string) *winrmRun {
	r := &winrmRun{client: c, opts: opts, line: line, broken: make(chan error, 1), lost: make(chan error, 1), started: make(chan struct{}), done: make(chan struct{})}
	r.ctx, r.stop = context.WithCancelCause(c.ctx)
	r.out = newGate(opts.Stdout, func(err error) { offer(r.broken, fmt.Errorf("write stdout: %w", err)) })
	r.errs = newGate(opts.Stderr, func(err error) { offer(r.broken, fmt.Errorf("write stderr: %w", err)) })
	return r
}

// offer sends the first error.
func offer(to chan error, err error) {
	select {
	case to <- err:
	default:
	}
}

// main runs the command to its end.
func (r *winrmRun) main() {
	defer r.stop(nil)
	defer close(r.done)
	c := r.client.client
	shell, err := c.CreateShell(r.ctx, r.opts.Env)
	if err != nil {
		r.err = r.refusal(err, false)
		return
	}
	defer r.cleanUp()
	r.mu.Lock()
	r.shell = shell
	r.mu.Unlock()
	command, err := c.Command(r.ctx, shell, r.line, r.mayRun)
	if err != nil {
		r.err = r.refusal(err, true)
		return
	}
	r.mu.Lock()
	r.command = command
	r.mu.Unlock()
	close(r.started)
	go r.feed(shell, command)
	code, err := r.receive(shell, command)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.err = &LostError{Started: true, Sent: true, Err: r.client.explain(err), remains: remains{shell: shell}}
		return
	case code != 0:
		r.err = &ExitError{code: code}
	}
	r.over = true
}

// receive passes the output on until the command has ended.
func (r *winrmRun) receive(shell, command string) (code int, err error) {
	for {
		out, err := r.client.client.Receive(r.ctx, shell, command)
		if err != nil {
			return 0, err
		}
		for _, chunk := range out.Chunks {
			to := r.out
			if chunk.Stderr {
				to = r.errs
			}
			_, _ = to.Write(chunk.Data) // a gate reports its failure itself
		}
		if out.Done {
			return out.Code, nil
		}
	}
}

// refusal returns why the command was not started. After it was sent, only what the server says for certain counts.
func (r *winrmRun) refusal(err error, command bool) error {
	var fault *winrm.Fault
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case errors.As(err, &fault) && command: // not in the server's words, which may quote the command
		return &RefusedError{Address: r.client.dialer.address, Command: true, Err: &winrm.Fault{Code: fault.Code, Subcode: fault.Subcode}}
	case errors.As(err, &fault):
		return r.client.explain(err)
	}
	lost := &LostError{Sent: r.sent, Err: r.client.explain(err)}
	if r.sent {
		lost.shell = r.shell
	}
	return lost
}

// cleanUp deletes the shell of a command that has ended or was not started. What is left of a lost one, a second contact may end.
func (r *winrmRun) cleanUp() {
	r.mu.Lock()
	shell := r.shell
	wanted := r.over || !r.sent || isRefused(r.err)
	r.mu.Unlock()
	if !wanted || shell == "" {
		return
	}
	if err := r.client.deleteWithin(r.client.dialer.limits.answer, shell); err != nil {
		r.client.dialer.log.Debug("the shell of a command that has ended could not be deleted", "error", err)
		return
	}
	r.mu.Lock()
	r.deleted = true
	r.mu.Unlock()
}

func isRefused(err error) bool {
	var refused *RefusedError
	return errors.As(err, &refused)
}

// result returns the error of the command, or if it succeeded the failure of its streams.
func (r *winrmRun) result() error {
	if r.err != nil {
		return r.err
	}
	select {
	case err := <-r.broken:
		return &CancelError{Cause: err, Ended: true, Sent: true}
	default:
		return nil
	}
}

// startError returns why the command was not started, if it was not.
func (r *winrmRun) startError() error {
	select {
	case <-r.started:
		return nil
	default:
		<-r.done
		return r.err
	}
}

// await returns the result, without a context.
func (r *winrmRun) await() error {
	select {
	case <-r.done:
		return r.result()
	case err := <-r.lost:
		return r.afterLoss(err)
	case err := <-r.broken:
		return r.cancelled(err)
	}
}

func (r *winrmRun) awaitDone(limit time.Duration) bool { return closedWithin(r.done, limit) }

func (r *winrmRun) closeStreams() {
	patience := r.client.dialer.limits.stopWriting
	r.out.closeWait(patience)
	r.errs.closeWait(patience)
}

// feed streams Stdin to the command and then closes the command's stdin. It may outlive Run while a Read blocks.
func (r *winrmRun) feed(shell, command string) {
	in := &inputReader{from: r.opts.Stdin}
	buf := make([]byte, winrm.MaxChunk)
	for r.opts.Stdin != nil {
		n, err := in.Read(buf)
		if n > 0 && !r.send(shell, command, buf[:n], false) {
			return
		}
		if in.err != nil { // without closing stdin: the command must not take a part of the input for the whole
			offer(r.broken, fmt.Errorf("read stdin: %w", in.err))
			return
		}
		if errors.Is(err, io.EOF) {
			break
		}
	}
	r.send(shell, command, nil, true)
}

// send reports whether the command may take more. A fault means that it does not read its input, which is no failure.
func (r *winrmRun) send(shell, command string, data []byte, end bool) bool {
	if r.ctx.Err() != nil {
		return false
	}
	err := r.client.client.Send(r.ctx, shell, command, data, end)
	var fault *winrm.Fault
	if err != nil && !errors.As(err, &fault) {
		offer(r.lost, r.client.explain(err))
	}
	return err == nil
}

// afterLoss returns what Run returns when stdin could not be sent. If the command ends all the same, its exit code counts.
func (r *winrmRun) afterLoss(err error) error {
	defer r.closeStreams()
	defer r.stop(err)
	if r.awaitDone(r.client.dialer.limits.answer) {
		return r.result()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return &LostError{Started: true, Sent: true, Err: err, remains: remains{shell: r.shell}}
}
