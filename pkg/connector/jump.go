package connector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// jump opens connections to one instance through the jump host. The connection to the jump host is opened when it is first needed, and again after a loss.
type jump struct {
	hop  *sshDialer
	turn chan struct{} // holds a token while the connection is opened

	mu     sync.Mutex
	via    *sshClient // nil: none yet
	closed bool
}

// hopKeepalive is the Keepalive of the instance.
type hopKeepalive time.Duration

// of returns half of it. So a jump host that is gone is noticed before the instance behind it seems to be: after at most 2 intervals of the instance, which is
// noticed after 3 at the earliest.
func (k hopKeepalive) of(l *limits) time.Duration { return cmp.Or(time.Duration(k), l.keepalive) / 2 }

// newJump returns nil if opts has no jump host.
func newJump(opts DialOptions, keepalive time.Duration) (*jump, error) {
	if opts.Jump == nil {
		return nil, nil
	}
	hop, err := newHop(*opts.Jump, opts, hopKeepalive(keepalive))
	if err != nil {
		return nil, err
	}
	return &jump{hop: hop, turn: make(chan struct{}, 1)}, nil
}

// through makes dial go through the jump host. A nil jump changes nothing.
func (j *jump) through(dial DialFunc) DialFunc {
	if j == nil {
		return dial
	}
	return j.dial
}

// ready opens the connection to the jump host if there is none. So its time does not count for the attempt to connect to the instance.
func (j *jump) ready(ctx context.Context) error {
	if j == nil {
		return nil
	}
	_, err := j.open(ctx)
	return err
}

// close closes the connection to the jump host, and with it all connections through it.
func (j *jump) close() {
	if j == nil {
		return
	}
	j.mu.Lock()
	via := j.via
	j.via, j.closed = nil, true
	j.mu.Unlock()
	if via != nil {
		_ = via.Close()
	}
}

// failed returns err as the jump host's.
func (j *jump) failed(err error, final bool) error {
	return &JumpError{Address: j.hop.address, Err: err, final: final}
}

// current returns the connection to the jump host, or nil if there is none or it was lost.
func (j *jump) current() (*sshClient, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return nil, ErrClosed
	case j.via != nil && j.via.why() == nil:
		return j.via, nil
	}
	return nil, nil
}

// open returns the connection to the jump host. It opens one at a time.
func (j *jump) open(ctx context.Context) (*sshClient, error) {
	select {
	case j.turn <- struct{}{}:
		defer func() { <-j.turn }()
	case <-ctx.Done():
		return nil, j.failed(context.Cause(ctx), false)
	}
	if via, err := j.current(); via != nil || err != nil {
		return via, err
	}
	conn, err := j.hop.attempt(ctx)
	if err != nil {
		return nil, j.failed(err, finalOfJump(err))
	}
	via := newSSHClient(j.hop, conn)
	j.mu.Lock()
	lost, closed := j.via, j.closed
	if !closed {
		j.via = via
	}
	j.mu.Unlock()
	if lost != nil {
		_ = lost.Close()
	}
	if closed {
		return nil, errors.Join(ErrClosed, via.Close())
	}
	return via, nil
}

// finalOfJump reports whether waiting does not change err. A jump host does not boot, and may lock out an address after many refused logins.
func finalOfJump(err error) bool {
	var login *AuthError
	return final(err) || errors.As(err, &login)
}

// dial is a DialFunc.
func (j *jump) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	via, err := j.open(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := via.conn.DialContext(ctx, network, addr)
	if err != nil {
		return nil, j.explain(ctx, via, addr, err)
	}
	return &jumpConn{Conn: conn, jump: j, via: via, closed: make(chan struct{})}, nil
}

// explain says who is to blame for a connection that could not be opened through the jump host.
func (j *jump) explain(ctx context.Context, via *sshClient, addr string, err error) error {
	var refused *ssh.OpenChannelError
	switch {
	case via.why() != nil:
		return j.failed(fmt.Errorf("the connection to it was lost: %w", via.why()), false)
	case errors.As(err, &refused) && refused.Reason == ssh.ConnectionFailed:
		return j.unconnected(addr, refused.Message)
	case errors.As(err, &refused) && refused.Reason == ssh.ResourceShortage:
		return j.failed(fmt.Errorf("it has no room for another connection: %w", heard(err)), false)
	case errors.As(err, &refused):
		return j.failed(fmt.Errorf("it forbids connections to %s: allow them on the jump host (AllowTcpForwarding and PermitOpen in sshd_config, and the options of "+
			"the key in authorized_keys): %w", addr, heard(err)), true)
	case ctx.Err() == nil:
		return j.failed(heard(err), false)
	case j.answers(via):
		return &beyondError{jump: j.hop.address, address: addr, err: context.Cause(ctx), late: true}
	}
	return j.failed(fmt.Errorf("it does not answer: %w", context.Cause(ctx)), false)
}

// unconnected returns the error for a jump host that could not connect to the instance. Its words only decide whether the instance is not to blame.
func (j *jump) unconnected(addr, said string) error {
	lower := strings.ToLower(said)
	own := []string{"temporary failure in name resolution"}
	for _, errno := range ownFailures() {
		own = append(own, errno.Error())
	}
	says := func(text string) bool { return strings.Contains(lower, text) }
	if slices.ContainsFunc(own, says) {
		return j.failed(fmt.Errorf("it cannot connect to %s: %s", addr, said), false)
	}
	late := says(syscall.ETIMEDOUT.Error()) || says("name or service not known") || says("unknown host")
	return &beyondError{jump: j.hop.address, address: addr, err: errors.New(said), late: late}
}

// answers reports whether the jump host still answers. It is asked when a connection through it does not open: either it or the instance is to blame.
func (j *jump) answers(via *sshClient) bool {
	asked := make(chan error, 1)
	go func() { asked <- via.asked() }()
	timer := time.NewTimer(j.hop.limits.answer)
	defer timer.Stop()
	select {
	case err := <-asked:
		return err == nil
	case <-timer.C:
		return false
	}
}

// jumpConn is a connection through the jump host. If it ends because the connection to the jump host was lost, Read and Write say so.
type jumpConn struct {
	net.Conn
	jump   *jump
	via    *sshClient
	once   sync.Once
	closed chan struct{}
}

// Read implements net.Conn.
func (c *jumpConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.explain(err)
}

// Write implements net.Conn.
func (c *jumpConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.explain(err)
}

// explain returns err, or that the connection to the jump host was lost.
func (c *jumpConn) explain(err error) error {
	if err != nil {
		if lost := c.lost(); lost != nil {
			return c.jump.failed(fmt.Errorf("the connection to it was lost: %w", lost), false)
		}
	}
	return err
}

// lost returns why the connection to the jump host was lost, or nil if the jump host still answers. The end of a stream looks the same in both cases.
func (c *jumpConn) lost() error {
	asked := make(chan error, 1)
	go func() { asked <- c.via.asked() }() // it ends when the connection to the jump host is closed, at the latest
	select {
	case <-c.closed:
		return nil
	case <-c.via.gone:
		return c.via.why()
	case err := <-asked:
		return err
	}
}

// Close implements net.Conn.
func (c *jumpConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
