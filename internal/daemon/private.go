package daemon

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/taskscaler/taskscaler/internal/control"
)

// Private is a manager for one command. It has no socket; its client is connected in memory.
type Private struct {
	daemon *Daemon
	server *control.Server
	listen *memoryListener
	client *control.Client
}

// StartPrivate starts a private manager for the runner that o selects.
func StartPrivate(ctx context.Context, o Options) (*Private, error) {
	o.Private = true
	d, err := Start(ctx, o)
	if err != nil {
		return nil, err
	}
	p := &Private{daemon: d, server: control.NewServer(d, 0, o.Logger), listen: newMemoryListener()}
	p.client = control.NewClientWithDialer("this process", p.listen.dial)
	go func() { _ = p.server.Serve(p.listen) }()
	return p, nil
}

// Client returns a client of the manager.
func (p *Private) Client() *control.Client { return p.client }

// Close deletes all instances and the state, and ends the plugin. It waits for live leases until ctx ends; normally there are none.
func (p *Private) Close(ctx context.Context) error {
	return errors.Join(p.daemon.Shutdown(ctx), p.server.Close())
}

// memoryListener is a net.Listener whose connections stay inside the process.
type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemoryListener() *memoryListener {
	return &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *memoryListener) dial(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Accept implements net.Listener.
func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *memoryListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }
