package connector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// sshClient is a Client over one SSH connection.
type sshClient struct {
	dialer *sshDialer
	conn   *ssh.Client
	gone   chan struct{} // closed when the connection is closed
	wg     sync.WaitGroup

	more further
	root *sshClient // the client that opened this further connection; nil: it is none

	mu   sync.Mutex
	lost error // the first reason why the connection was lost
}

var (
	_ Client = (*sshClient)(nil)
	_ Waiter = (*sshClient)(nil)
)

func newSSHClient(d *sshDialer, conn *ssh.Client) *sshClient {
	c := &sshClient{dialer: d, conn: conn, gone: make(chan struct{})}
	c.wg.Go(func() {
		c.lose(heard(conn.Wait()))
		close(c.gone)
	})
	if d.keepalive > 0 && takesKeepalives(string(conn.ServerVersion())) {
		c.wg.Go(func() { c.keepAlive(d.keepalive) })
	}
	return c
}

// takesKeepalives excludes tinysshd: it answers a global request with SSH_MSG_UNIMPLEMENTED, and x/crypto then closes the connection.
func takesKeepalives(version string) bool { return !strings.Contains(version, "tinyssh") }

// lose closes the connection and records the reason, unless one was recorded before.
func (c *sshClient) lose(why error) {
	if why == nil {
		why = errors.New("the connection ended")
	}
	c.mu.Lock()
	first := c.lost == nil
	if first {
		c.lost = why
	}
	c.mu.Unlock()
	if first {
		c.dialer.log.Debug("connection ended", "reason", why)
	}
	_ = c.conn.Close()
}

// why returns the reason for the loss, or nil while the connection is open.
func (c *sshClient) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

// keepAlive sends keepalives. It measures the time itself: a request to a frozen server never returns, and TCP notices nothing because
// the kernel acknowledges data that a stopped process does not read.
func (c *sshClient) keepAlive(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	answers := make(chan error, 1)
	waiting, missed := false, 0
	for {
		select {
		case <-c.gone:
			return
		case err := <-answers: // a refusal is an answer
			waiting, missed = false, 0
			if err != nil { // the connection has ended: it tells the reason, which err does not
				if !closedWithin(c.gone, reasonWait) {
					c.lose(err)
				}
				return
			}
		case <-ticker.C:
			if waiting {
				if missed++; missed >= c.dialer.limits.missed {
					c.lose(fmt.Errorf("%w for %s", ErrKeepalive, time.Duration(missed)*every))
					return
				}
				continue
			}
			waiting = true
			c.wg.Go(func() {
				_, _, err := c.conn.SendRequest("keepalive@openssh.com", true, nil)
				answers <- err
			})
		}
	}
}

// Dial implements Client.
func (c *sshClient) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := c.conn.DialContext(ctx, network, addr)
	if err != nil {
		switch {
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case c.why() != nil || errors.Is(err, io.EOF): // else the target refused, and the connection works
			err = &LostError{Err: c.explain(err), during: "before the tunnel was open"}
		}
		return nil, fmt.Errorf("dial %s %s from %s: %w", network, addr, c.dialer.address, heard(err))
	}
	return newStreamConn(conn, conn, closeWriter(conn), c.alive, conn.Close, conn.LocalAddr(), conn.RemoteAddr()), nil
}

// Wait implements Waiter.
func (c *sshClient) Wait(ctx context.Context) error {
	select {
	case <-c.gone:
		return fmt.Errorf("%s: %w", c.dialer.address, &LostError{Err: c.explain(io.EOF), during: "while nothing used it"})
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// alive returns an error if the connection was lost. A stream that ends because of the loss looks like one that ended normally.
func (c *sshClient) alive() error {
	if err := c.asked(); err != nil {
		return fmt.Errorf("connection to %s lost: %w", c.dialer.address, err)
	}
	return nil
}

// asked asks the server for a sign of life, and returns why the connection was lost if there is none.
func (c *sshClient) asked() error {
	_, _, err := c.conn.SendRequest("keepalive@openssh.com", true, nil)
	if err != nil {
		err = c.explain(err)
	}
	return err
}

// explain returns the reason why the connection was lost, if it was, else err: err only says how the loss looks from inside.
func (c *sshClient) explain(err error) error {
	if why := c.why(); why != nil {
		return why
	}
	return err
}

// reasonWait bounds how long reason waits.
const reasonWait = time.Second

// reason is explain for an error that may be the first sign of a loss: the streams on a connection end before the connection has told why.
func (c *sshClient) reason(err error) error {
	if !takesKeepalives(string(c.conn.ServerVersion())) {
		return c.explain(err)
	}
	timer := time.NewTimer(reasonWait)
	defer timer.Stop()
	asked := make(chan error, 1)
	go func() { asked <- c.asked() }() // it ends with the connection, at the latest
	select {
	case <-c.gone:
	case <-timer.C:
	case lost := <-asked:
		if lost == nil {
			return err
		}
		select {
		case <-c.gone:
		case <-timer.C:
		}
	}
	return c.explain(err)
}

// Close implements Client.
func (c *sshClient) Close() error {
	c.lose(ErrClosed)
	c.closeFurther()
	c.wg.Wait()
	if c.root == nil {
		c.dialer.jump.close()
	}
	return nil
}

// windows reports whether the server is a Windows host, whose shell is not a POSIX shell.
func (c *sshClient) windows() bool {
	return c.dialer.windows || strings.Contains(strings.ToLower(string(c.conn.ServerVersion())), "windows")
}
