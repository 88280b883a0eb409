package connector

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"golang.org/x/crypto/ssh"
)

// run is one command in progress.
type run struct {
	client  *sshClient
	opts    RunOptions
	mark    string // marks the line with the process id; empty: the command prints no such line
	out     *gate
	errs    *gate
	filter  *pidFilter
	broken  chan error    // a failure of the caller's streams
	pid     chan int      // receives at most one process id
	done    chan struct{} // closed when err is set
	err     error
	mu      sync.Mutex
	session *ssh.Session // nil until it is started
	dropped bool         // Run has returned, or is about to
}

// Run implements Client.
func (c *sshClient) Run(ctx context.Context, opts RunOptions) error {
	if ctx.Err() != nil {
		return &CancelError{Cause: context.Cause(ctx), Ended: true}
	}
	r := newRun(c, opts)
	if err := checkLength(r.command()); err != nil {
		return err
	}
	go r.main()
	select {
	case <-r.done:
		r.closeStreams()
		return r.result()
	case err := <-r.broken:
		return &CancelError{Cause: err, Ended: r.end()}
	case <-ctx.Done():
		return &CancelError{Cause: context.Cause(ctx), Ended: r.end()}
	}
}

// result returns the error of the command, or if it succeeded the failure of its streams.
func (r *run) result() error {
	if r.err != nil {
		return r.err
	}
	select {
	case err := <-r.broken:
		return &CancelError{Cause: err, Ended: true}
	default:
		return nil
	}
}

func newRun(c *sshClient, opts RunOptions) *run {
	r := &run{client: c, opts: opts, broken: make(chan error, 1), pid: make(chan int, 1), done: make(chan struct{})}
	r.out = newGate(opts.Stdout, func(err error) { r.fail(fmt.Errorf("write stdout: %w", err)) })
	r.errs = newGate(opts.Stderr, func(err error) { r.fail(fmt.Errorf("write stderr: %w", err)) })
	if !opts.Unwrapped && !c.windows() {
		r.mark = "taskscaler-" + rand.Text()
		r.filter = &pidFilter{to: r.errs, mark: []byte(r.mark), found: func(pid int) { r.pid <- pid }}
	}
	return r
}

// fail reports a failure of the caller's streams. The first one ends the command.
func (r *run) fail(err error) {
	select {
	case r.broken <- err:
	default:
	}
}

// main runs the command to its end.
func (r *run) main() {
	defer close(r.done)
	session, err := r.start()
	if err != nil {
		r.err = r.startError(err)
		return
	}
	err = session.Wait()
	if r.filter != nil {
		_ = r.filter.flush()
	}
	_ = session.Close()
	r.err = r.exitError(err)
}

// start opens a session and asks for the command.
func (r *run) start() (*ssh.Session, error) {
	session, err := r.client.conn.NewSession()
	if err != nil {
		return nil, err
	}
	stdin, err := session.StdinPipe()
	if err != nil {
		return nil, err
	}
	session.Stdout, session.Stderr = r.out, r.errs
	if r.filter != nil {
		session.Stderr = r.filter
	}
	sendEnv(session, r.opts.Env)
	if err := session.Start(r.command()); err != nil {
		_ = session.Close()
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dropped { // cancelled before the server answered
		_ = session.Signal(ssh.SIGKILL)
		_ = session.Close()
		return session, nil
	}
	r.session = session
	go r.feed(stdin)
	return session, nil
}

// sendEnv sends the variables and asks for no reply: most servers refuse most variables, and a refusal is ignored.
func sendEnv(session *ssh.Session, env map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		_, _ = session.SendRequest("env", false, ssh.Marshal(struct{ Name, Value string }{name, env[name]}))
	}
}

// command puts the part that prints the process id before the command. sh, csh, fish and similar shells all understand it. It is on the
// first line of the command, so that line numbers in the shell's messages stay right. $PPID of the inner shell is the login shell.
func (r *run) command() string {
	if r.mark == "" {
		return r.opts.Command
	}
	return fmt.Sprintf(`sh -c 'echo "%s $PPID" >&2'; %s`, r.mark, r.opts.Command)
}

// feed streams Stdin to the command and then closes the command's stdin. It may outlive Run while a Read blocks.
func (r *run) feed(stdin io.WriteCloser) {
	if r.opts.Stdin != nil {
		in := &inputReader{from: r.opts.Stdin}
		_, _ = io.Copy(stdin, in) // a failed Write means that the command does not read its input, which is no failure
		if in.err != nil {
			r.fail(fmt.Errorf("read stdin: %w", in.err))
			return // without closing stdin: the command must not take a part of the input for the whole
		}
	}
	_ = stdin.Close()
}

func (r *run) closeStreams() {
	patience := r.client.dialer.limits.stopWriting
	r.out.closeWait(patience)
	r.errs.closeWait(patience)
}

// startError returns why the command was not started.
func (r *run) startError(err error) error {
	var refused *ssh.OpenChannelError
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("%s refuses another session on this connection: %w", r.client.dialer.address, err)
	case r.client.why() != nil || isNetwork(err):
		return &LostError{Err: r.client.explain(err)}
	}
	// err is not passed on: x/crypto quotes the whole command in it, which does not belong in a log.
	return fmt.Errorf("%s refused to run the command", r.client.dialer.address)
}

// exitError turns the result of a session into an ExitError or a LostError.
func (r *run) exitError(err error) error {
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		return newExitError(exit)
	}
	// There was no status: the connection was lost, or the server's end of the session ended.
	return &LostError{Started: true, Err: r.client.explain(err)}
}

func newExitError(exit *ssh.ExitError) *ExitError {
	return &ExitError{code: exit.ExitStatus(), signal: exit.Signal()}
}
