package connector

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// run is one command in progress.
type run struct {
	client  *sshClient
	opts    RunOptions
	mark    string // marks the line with the process id; empty: the command prints no such line
	out     *gate
	errs    *gate
	filters []*pidFilter  // of stdout and stderr; none if mark is empty
	broken  chan error    // a failure of the caller's streams
	pid     chan int      // receives at most one process id
	done    chan struct{} // closed when err is set
	err     error
	latch                // its mu is for all that follows
	session *ssh.Session // nil until it is started
	known   int          // the process id; 0: it has not arrived
}

// errConnClosed means that the connection of DialRun was closed.
var errConnClosed = errors.New("the connection to the command was closed")

// errHeldBack means that the command was cancelled before it was sent.
var errHeldBack = errors.New("cancelled before the command was sent")

// Run implements Client.
func (c *sshClient) Run(ctx context.Context, opts RunOptions) error {
	return c.spread(ctx, func(on *sshClient) error { return on.runHere(ctx, opts) })
}

// runHere is Run on this connection.
func (c *sshClient) runHere(ctx context.Context, opts RunOptions) error {
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
		return r.cancelled(err)
	case <-ctx.Done():
		return r.cancelled(context.Cause(ctx))
	}
}

// cancelled ends the command and returns what Run returns then.
func (r *run) cancelled(cause error) *CancelError {
	ended := r.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	return &CancelError{Cause: cause, Ended: ended, Sent: r.sent, remains: remains{pid: r.known}}
}

// result returns the error of the command, or if it succeeded the failure of its streams.
func (r *run) result() error {
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

func newRun(c *sshClient, opts RunOptions) *run {
	r := &run{client: c, opts: opts, broken: make(chan error, 1), pid: make(chan int, 1), done: make(chan struct{})}
	r.out = newGate(opts.Stdout, func(err error) { r.fail(fmt.Errorf("write stdout: %w", err)) })
	r.errs = newGate(opts.Stderr, func(err error) { r.fail(fmt.Errorf("write stderr: %w", err)) })
	if !opts.Unwrapped && !c.windows() {
		r.mark = "taskscaler-" + rand.Text()
		// A server may send stderr as stdout, so the line may be in either.
		out, errs := &pidFilter{to: r.out, mark: []byte(r.mark), found: r.foundPID}, &pidFilter{to: r.errs, mark: []byte(r.mark), found: r.foundPID}
		out.other, errs.other = errs, out
		r.filters = []*pidFilter{out, errs}
	}
	return r
}

func (r *run) foundPID(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == 0 {
		r.known = pid
		r.pid <- pid
	}
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
	for _, f := range r.filters {
		_ = f.flush()
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
	if len(r.filters) > 0 {
		session.Stdout, session.Stderr = r.filters[0], r.filters[1]
	}
	sendEnv(session, r.opts.Env)
	if r.opts.PTY != nil {
		if err := r.requestPTY(session); err != nil {
			_ = session.Close()
			return nil, err
		}
	}
	if !r.mayRun() {
		_ = session.Close()
		return nil, errHeldBack
	}
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
	if r.opts.PTY != nil && r.opts.PTY.Resize != nil {
		go r.resize(session)
	}
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
	if r.opts.PTY != nil { // some servers hang a terminal up when its channel gets no more input
		_, _ = io.WriteString(stdin, endOfFile)
		return
	}
	_ = stdin.Close()
}

func (r *run) closeStreams() {
	patience := r.client.dialer.limits.stopWriting
	r.out.closeWait(patience)
	r.errs.closeWait(patience)
}

// startError returns why the command was not started. Only what is surely a refusal of the server counts as one: after everything else, a command
// that was sent may run.
func (r *run) startError(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var refused *ssh.OpenChannelError
	var noTerminal *RefusedError
	switch {
	case errors.As(err, &noTerminal):
		return err
	case errors.As(err, &refused):
		return &RefusedError{Address: r.client.dialer.address, Err: heard(err)}
	case r.sent && isRefusal(err):
		// err is not passed on: x/crypto quotes the whole command in it, which does not belong in a log.
		return &RefusedError{Address: r.client.dialer.address, Command: true}
	}
	return &LostError{Sent: r.sent, Err: r.client.explain(err)}
}

// isRefusal recognises the error of x/crypto for a server that answered that it does not run the command. It has no type of its own.
func isRefusal(err error) bool {
	return strings.HasPrefix(err.Error(), "ssh: command ") && strings.HasSuffix(err.Error(), " failed")
}

// exitError turns the result of a session into an ExitError or a LostError.
func (r *run) exitError(err error) error {
	var exit *ssh.ExitError
	if err != nil && !errors.As(err, &exit) {
		err = r.client.reason(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		seen := newExitError(exit)
		seen.unseen = r.mark != "" && r.known == 0
		return seen
	}
	// There was no status: the connection was lost, or the server's end of the session ended.
	return &LostError{Started: true, Sent: true, Err: err, remains: remains{pid: r.known}}
}

func newExitError(exit *ssh.ExitError) *ExitError {
	return &ExitError{code: exit.ExitStatus(), signal: exit.Signal()}
}
