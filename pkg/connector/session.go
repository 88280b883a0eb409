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

// run is one command on its way.
type run struct {
	client  *sshClient
	opts    RunOptions
	mark    string // empty: the command does not tell its process id
	out     *gate
	errs    *gate
	filter  *pidFilter
	broken  chan error    // a failure of the caller's streams
	pid     chan int      // told at most once
	done    chan struct{} // closed when err is set
	err     error
	mu      sync.Mutex
	session *ssh.Session // once it is started
	dropped bool         // nobody waits any more
}

// Run implements Client.
func (c *sshClient) Run(ctx context.Context, opts RunOptions) error {
	if ctx.Err() != nil {
		return &CancelError{Cause: context.Cause(ctx), Ended: true}
	}
	r := newRun(c, opts)
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

// result is the command's, unless it looks fine and its streams did not.
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

// fail reports a failure of the caller's streams, the first of which ends the command.
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
	if r.dropped { // cancelled while the server thought about it
		_ = session.Signal(ssh.SIGKILL)
		_ = session.Close()
		return session, nil
	}
	r.session = session
	go r.feed(stdin)
	return session, nil
}

// sendEnv asks for no reply: most servers refuse most variables, and nothing would follow from it.
func sendEnv(session *ssh.Session, env map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		_, _ = session.SendRequest("env", false, ssh.Marshal(struct{ Name, Value string }{name, env[name]}))
	}
}

// command puts the line that tells the process id before the command. It is made of what sh, csh, fish and their kin all understand, and
// stays on the command's first line so that line numbers in its messages are right. $PPID of the inner shell is the login shell.
func (r *run) command() string {
	if r.mark == "" {
		return r.opts.Command
	}
	return fmt.Sprintf(`sh -c 'echo "%s $PPID" >&2'; %s`, r.mark, r.opts.Command)
}

// feed streams Stdin and closes the command's. It may outlive Run in a Read that blocks.
func (r *run) feed(stdin io.WriteCloser) {
	if r.opts.Stdin != nil {
		in := &inputReader{from: r.opts.Stdin}
		_, _ = io.Copy(stdin, in) // the other failure is a command that does not read its input: no failure
		if in.err != nil {
			r.fail(fmt.Errorf("read stdin: %w", in.err))
			return // what came before it must not look like the whole
		}
	}
	_ = stdin.Close()
}

func (r *run) closeStreams() {
	patience := r.client.dialer.limits.stopWriting
	r.out.closeWait(patience)
	r.errs.closeWait(patience)
}

// startError explains why no command was started.
func (r *run) startError(err error) error {
	var refused *ssh.OpenChannelError
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("%s refuses another session on this connection: %w", r.client.dialer.address, err)
	case r.client.why() != nil || isNetwork(err):
		return &LostError{Err: r.client.explain(err)}
	}
	// x/crypto quotes the whole command here, which is no business of a log.
	return fmt.Errorf("%s refused to run the command", r.client.dialer.address)
}

// exitError turns the end of a session into ours.
func (r *run) exitError(err error) error {
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		return newExitError(exit)
	}
	// No status came: the connection, or the server's end of the session, went.
	return &LostError{Started: true, Err: r.client.explain(err)}
}

func newExitError(exit *ssh.ExitError) *ExitError {
	return &ExitError{code: exit.ExitStatus(), signal: exit.Signal()}
}
