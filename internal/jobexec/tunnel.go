package jobexec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/connector"
)

// Tunnel takes connections on this machine and continues each of them from the instance.
type Tunnel struct {
	Listener        net.Listener // the job closes it
	Network, Remote string       // where the connections end, seen from the instance
}

// serve runs the tunnel until ctx ends or the connection to the instance is lost. A target that refuses ends only the connection that asked for it.
func (r *run) serve(ctx context.Context, lease control.Lease, client connector.Client) (int, verdict, error) {
	t := r.job.Tunnel
	ctx, end := context.WithCancelCause(ctx)
	var open sync.WaitGroup
	defer open.Wait()
	defer end(nil)
	defer context.AfterFunc(ctx, func() { _ = t.Listener.Close() })()
	if w, ok := client.(connector.Waiter); ok { // else the next connection finds out
		open.Go(func() { end(w.Wait(ctx)) })
	}
	r.note("the tunnel from %s to %s is open, through instance %s", t.Listener.Addr(), t.Remote, lease.Instance)
	for {
		conn, err := t.Listener.Accept()
		if err != nil {
			end(fmt.Errorf("the tunnel takes no connections: %w", err)) // unless ctx has ended
			break
		}
		open.Go(func() {
			if err := r.through(ctx, client, conn); err != nil {
				end(err)
			}
		})
	}
	cause := context.Cause(ctx)
	var lost *connector.LostError
	if errors.As(cause, &lost) {
		found := r.doubt(ctx, lease, cause)
		return 0, found, &Error{Code: ExitLost, Err: fmt.Errorf("the tunnel ended: %w", cause)}
	}
	return 0, verdict{}, ended(ctx, "the tunnel was closed", ExitLost)
}

// through continues one connection. It returns an error only if the instance cannot be reached any more.
func (r *run) through(ctx context.Context, client connector.Client, local net.Conn) error {
	defer func() { _ = local.Close() }()
	remote, err := client.Dial(ctx, r.job.Tunnel.Network, r.job.Tunnel.Remote)
	if err != nil {
		var lost *connector.LostError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &lost):
			return err
		}
		r.note("%v", err)
		return nil
	}
	defer func() { _ = remote.Close() }()
	defer context.AfterFunc(ctx, func() { _, _ = local.Close(), remote.Close() })()
	var both sync.WaitGroup
	both.Go(func() { pass(remote, local) })
	pass(local, remote)
	both.Wait()
	return nil
}

// pass copies one direction and then passes the end of it on. The other direction may go on.
func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		_ = half.CloseWrite()
		return
	}
	_, _ = to.Close(), from.Close()
}
