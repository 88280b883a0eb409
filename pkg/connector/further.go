package connector

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// further are the connections that a client opens beside its own when the server refuses another session on it (MaxSessions of sshd). They stay
// open, because later commands of the lease need as many, and are closed with the client.
type further struct {
	mu     sync.Mutex // held while a connection is opened, so that sessions that are refused together do not open one each
	list   []*sshClient
	closed bool
}

// maxFresh is how many new connections may refuse their first session, or fail, before the server counts as one that refuses. More than one, because the
// sessions of others may fill a new connection first.
const maxFresh = 3

// spread calls use with one connection after another, until one takes the session that use needs. A refused session has changed nothing, so use
// begins afresh.
func (c *sshClient) spread(ctx context.Context, use func(*sshClient) error) error {
	err := use(c)
	if c.root != nil { // its root has the others
		return err
	}
	for i, fresh := 0, 0; refusedSession(err) && fresh < maxFresh && ctx.Err() == nil; i++ {
		next, isNew, failed := c.further(ctx, i)
		if failed != nil {
			c.dialer.log.Debug("no further connection for a session that was refused", "error", failed)
			if final(failed) || errors.Is(failed, ErrClosed) {
				return err
			}
		}
		if isNew || failed != nil { // an overloaded host may not answer an attempt in time
			fresh++
		}
		if failed != nil {
			i--
			continue
		}
		err = use(next)
	}
	return err
}

// refusedSession reports whether the server refused a session, and nothing else.
func refusedSession(err error) bool {
	var refused *RefusedError
	return errors.As(err, &refused) && !refused.Command && !refused.Terminal
}

// further returns the further connection i, or a new one if there are not so many.
func (c *sshClient) further(ctx context.Context, i int) (next *sshClient, isNew bool, err error) {
	c.more.mu.Lock()
	defer c.more.mu.Unlock()
	open := c.more.list[:0]
	for _, m := range c.more.list {
		if m.why() == nil {
			open = append(open, m)
		}
	}
	c.more.list = open
	switch {
	case c.more.closed:
		return nil, false, ErrClosed
	case i < len(open):
		return open[i], false, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dialed := make(chan struct{})
	defer close(dialed)
	go func() {
		select {
		case <-c.gone: // Close does not wait for a server that does not answer
			cancel(ErrClosed)
		case <-dialed:
		}
	}()
	conn, err := c.dialer.attempt(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("further connection: %w", err)
	}
	next = newSSHClient(c.dialer, conn)
	next.root = c
	c.more.list = append(c.more.list, next)
	c.dialer.log.Debug("opened a further connection, because the server refused a session", "connections", 1+len(c.more.list))
	return next, true, nil
}

// closeFurther closes the further connections.
func (c *sshClient) closeFurther() {
	c.more.mu.Lock()
	list := c.more.list
	c.more.list, c.more.closed = nil, true
	c.more.mu.Unlock()
	for _, m := range list {
		_ = m.Close()
	}
}
