package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/moby/moby/client"

	"github.com/taskscaler/taskscaler/examples/runner"
	"github.com/taskscaler/taskscaler/pkg/connector"
)

// EngineError means that the Docker engine of an instance cannot be reached, in either way.
type EngineError struct {
	Socket string
	Tunnel error // through the SSH server
	Stdio  error // with the docker command
}

// Error says what failed and what to do.
func (e *EngineError) Error() string {
	return fmt.Sprintf("the Docker engine at %s cannot be reached, neither through the SSH server (%v) nor with `docker system dial-stdio` (%v): "+
		"install and start Docker, let the user of the login use it (group docker), or correct -socket", e.Socket, e.Tunnel, e.Stdio)
}

// Unwrap returns both errors, and that scripts cannot run.
func (e *EngineError) Unwrap() []error { return []error{e.Tunnel, e.Stdio, runner.ErrGone} }

// reach connects to the engine through the lease's connection: to its socket, as the SSH server forwards it, or for a server that does not,
// to the standard input and output of a docker command.
func (e *Executor) reach(ctx context.Context, on *runner.Instance) (*client.Client, error) {
	engine, tunnel := e.open(ctx, func(ctx context.Context) (net.Conn, error) { return on.Client.Dial(ctx, "unix", e.Socket) })
	var lost *connector.LostError
	switch {
	case tunnel == nil:
		return engine, nil
	case ctx.Err() != nil, errors.As(tunnel, &lost):
		return nil, tunnel
	}
	engine, stdio := e.open(ctx, func(ctx context.Context) (net.Conn, error) {
		return on.Client.DialRun(ctx, "docker --host unix://"+e.Socket+" system dial-stdio")
	})
	if stdio == nil {
		return engine, nil
	}
	return nil, &EngineError{Socket: e.Socket, Tunnel: tunnel, Stdio: stdio}
}

// open makes a client for connections that dial opens, and asks the engine for its version.
func (e *Executor) open(ctx context.Context, dial func(ctx context.Context) (net.Conn, error)) (*client.Client, error) {
	var mu sync.Mutex
	var refused error // why the latest connection was not opened; the client's own errors do not say it
	engine, err := client.New(client.WithHost("unix://"+e.Socket), client.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := dial(ctx)
		mu.Lock()
		defer mu.Unlock()
		refused = err
		return conn, err
	}))
	if err != nil {
		return nil, err
	}
	if _, err := engine.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		_ = engine.Close()
		mu.Lock()
		defer mu.Unlock()
		return nil, cmp.Or(refused, err)
	}
	return engine, nil
}
