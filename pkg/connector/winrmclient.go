package connector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/internal/winrm"
)

// winrmClient is a Client over WinRM. Each command has a remote shell of its own, because the end of a shell ends all its processes.
type winrmClient struct {
	dialer *winrmDialer
	client *winrm.Client
	ctx    context.Context // ends with Close
	stop   context.CancelCauseFunc
	wg     sync.WaitGroup // goroutines that end soon after ctx

	mu     sync.Mutex
	closed bool
}

var (
	_ Client = (*winrmClient)(nil)
	_ Copier = (*winrmClient)(nil)
)

// shellDeleter is a Client that can end what a lost connection left.
type shellDeleter interface {
	deleteShell(ctx context.Context, shell string) error
}

func newWinRMClient(d *winrmDialer, client *winrm.Client) *winrmClient {
	c := &winrmClient{dialer: d, client: client}
	c.ctx, c.stop = context.WithCancelCause(context.Background())
	return c
}

// Run implements Client.
func (c *winrmClient) Run(ctx context.Context, opts RunOptions) error {
	if ctx.Err() != nil {
		return &CancelError{Cause: context.Cause(ctx), Ended: true}
	}
	r, err := c.start(opts)
	if err != nil {
		return err
	}
	select {
	case <-r.done:
		r.closeStreams()
		return r.result()
	case err := <-r.lost:
		return r.afterLoss(err)
	case err := <-r.broken:
		return r.cancelled(err)
	case <-ctx.Done():
		return r.cancelled(context.Cause(ctx))
	}
}

// start begins a command. It returns an error only for what cannot be sent.
func (c *winrmClient) start(opts RunOptions) (*winrmRun, error) {
	if opts.PTY != nil {
		return nil, &RefusedError{Address: c.dialer.address, Terminal: true, Err: errNoTerminal}
	}
	shell := c.dialer.shell
	if opts.Unwrapped {
		shell = WinRMCmd
	}
	line, err := winrmCommand(opts.Command, shell)
	if err != nil {
		return nil, err
	}
	if err := checkEnv(opts.Env); err != nil {
		return nil, err
	}
	r := newWinRMRun(c, opts, line)
	if !c.do(r.main) {
		return nil, &LostError{Err: ErrClosed}
	}
	return r, nil
}

// do runs f on a goroutine that Close waits for. It returns false after Close.
func (c *winrmClient) do(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.wg.Go(f)
	}
	return !c.closed
}

// DialRun implements Client.
func (c *winrmClient) DialRun(ctx context.Context, command string) (net.Conn, error) {
	in, toCommand := io.Pipe()
	fromCommand, out := io.Pipe()
	said := &tail{}
	r, err := c.start(RunOptions{Command: command, Stdin: in, Stdout: out, Stderr: said})
	if err != nil {
		return nil, err
	}
	select {
	case <-r.started:
	case <-r.done:
	case <-ctx.Done():
		go func() { _ = r.cancelled(context.Cause(ctx)) }()
		return nil, fmt.Errorf("start command on %s: %w", c.dialer.address, context.Cause(ctx))
	}
	if err := r.startError(); err != nil {
		return nil, err
	}
	over := make(chan struct{})
	go func() { // of the command, or of what is left of it
		defer close(over)
		err := r.await()
		var exit *ExitError
		if errors.As(err, &exit) {
			exit.stderr = said.String()
		}
		r.closeStreams()
		_ = out.CloseWithError(io.EOF)
		_ = in.CloseWithError(io.ErrClosedPipe)
		r.final = err
	}()
	finish := func() error { <-over; return r.final }
	return newStreamConn(fromCommand, toCommand, toCommand.Close, finish, func() error {
		go r.endUnlessOver(over)
		return nil
	}, winrmAddr("local"), winrmAddr(c.dialer.address)), nil
}

// winrmAddr is the address of a connection that has no network address.
type winrmAddr string

func (winrmAddr) Network() string  { return "winrm" }
func (a winrmAddr) String() string { return string(a) }

// Dial implements Client. WinRM has no tunnels.
func (c *winrmClient) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, &NoTunnelError{Address: c.dialer.address, Network: network, Addr: addr}
}

// errNoTerminal is why RunOptions.PTY is refused.
var errNoTerminal = errors.New("WinRM has none: set protocol = \"ssh\" in connector_config and run an SSH server on the instance")

// Close implements Client. Shells that are being deleted get a moment.
func (c *winrmClient) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop(ErrClosed)
	c.wg.Wait()
	c.client.Close()
	c.dialer.jump.close()
	return nil
}

// deleteShell ends a shell and all that runs in it.
func (c *winrmClient) deleteShell(ctx context.Context, shell string) error {
	if err := c.client.DeleteShell(ctx, shell); err != nil {
		return c.explain(err)
	}
	return nil
}

// deleteWithin is deleteShell with a time limit, and also after Close has been called.
func (c *winrmClient) deleteWithin(limit time.Duration, shell string) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), limit, errNoAnswer)
	defer cancel()
	return c.deleteShell(ctx, shell)
}

// explain returns an error of a request with its type.
func (c *winrmClient) explain(err error) error {
	if c.ctx.Err() != nil {
		return ErrClosed
	}
	return c.dialer.explain(err)
}
