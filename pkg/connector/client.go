package connector

import (
	"context"
	"errors"
	"fmt"
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

	mu   sync.Mutex
	lost error // the first reason why the connection was lost
}

var _ Client = (*sshClient)(nil)

func newSSHClient(d *sshDialer, conn *ssh.Client) *sshClient {
	c := &sshClient{dialer: d, conn: conn, gone: make(chan struct{})}
	c.wg.Go(func() {
		c.lose(conn.Wait())
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
			if err != nil {
				c.lose(err)
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
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("dial %s %s from %s: %w", network, addr, c.dialer.address, c.explain(err))
	}
	return newStreamConn(conn, conn, closeWriter(conn), c.alive, conn.Close, conn.LocalAddr(), conn.RemoteAddr()), nil
}

// alive returns an error if the connection was lost. A stream that ends because of the loss looks like one that ended normally.
func (c *sshClient) alive() error {
	if _, _, err := c.conn.SendRequest("keepalive@openssh.com", true, nil); err != nil {
		return fmt.Errorf("connection to %s lost: %w", c.dialer.address, c.explain(err))
	}
	return nil
}

// explain returns the reason why the connection was lost, if it was, else err: err only says how the loss looks from inside.
func (c *sshClient) explain(err error) error {
	if why := c.why(); why != nil {
		return why
	}
	return err
}

// Close implements Client.
func (c *sshClient) Close() error {
	c.lose(ErrClosed)
	c.wg.Wait()
	return nil
}

// windows reports whether the server is a Windows host, whose shell is not a POSIX shell.
func (c *sshClient) windows() bool {
	return c.dialer.windows || strings.Contains(strings.ToLower(string(c.conn.ServerVersion())), "windows")
}
