package winrm

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/pkg/secret"
)

// Config says how to reach a server.
type Config struct {
	Address  string      // host:port
	TLS      *tls.Config // it verifies the server; nil: HTTP without TLS
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	Username string // user, DOMAIN\user or user@domain
	Password secret.Text
	Methods  []Method // the ways to log in that may be used, the first one first
	// Poll is how long the server may wait for output before it says that there is none.
	Poll time.Duration
	// Answer is how long a request may take, connecting and logging in included. It must be longer than Poll.
	Answer time.Duration
}

var (
	// ErrClosed means that Close was called.
	ErrClosed = errors.New("the client is closed")
	// ErrHeldBack means that the request was not sent, because the caller did not want it any more.
	ErrHeldBack = errors.New("not sent")
)

// NoAnswerError means that the server did not answer a request in time.
type NoAnswerError struct{ After time.Duration }

// Error names the time.
func (e *NoAnswerError) Error() string { return "no answer within " + e.After.String() }

// Timeout reports true.
func (e *NoAnswerError) Timeout() bool { return true }

// Client makes requests to one server. Its methods may be called from several goroutines at once.
type Client struct {
	config Config
	url    string

	mu     sync.Mutex
	idle   []*channel
	conns  map[net.Conn]struct{} // every connection that is not closed
	method Method                // the one that has worked; empty: none yet
	closed bool
}

// New returns a client. It does not connect.
func New(c Config) *Client {
	scheme := "http"
	if c.TLS != nil {
		scheme = "https"
	}
	u := url.URL{Scheme: scheme, Host: c.Address, Path: "/wsman"}
	return &Client{config: c, url: u.String(), conns: map[net.Conn]struct{}{}}
}

// maxIdle is how long an unused connection is kept. Windows closes one after 2 min.
const maxIdle = 30 * time.Second

// take returns an idle channel, or a new one.
func (c *Client) take(ctx context.Context) (*channel, error) {
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return nil, ErrClosed
		}
		n := len(c.idle)
		if n == 0 {
			c.mu.Unlock()
			return c.open(ctx)
		}
		ch := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		if time.Since(ch.used) < maxIdle {
			return ch, nil
		}
		c.drop(ch.raw)
	}
}

func (c *Client) put(ch *channel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.idle = append(c.idle, ch)
	}
}

// track notes a new connection. It returns false after Close.
func (c *Client) track(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.conns[conn] = struct{}{}
	}
	return !c.closed
}

func (c *Client) drop(conn net.Conn) {
	c.mu.Lock()
	delete(c.conns, conn)
	c.mu.Unlock()
	_ = conn.Close()
}

// Close closes every connection. Requests in progress fail with ErrClosed.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed, c.idle = true, nil
	for conn := range c.conns {
		_ = conn.Close()
	}
	clear(c.conns)
}

// Closed reports whether Close was called.
func (c *Client) Closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// do makes one request. mayGo is asked right before the request is sent; nil: yes. A request that may be repeated (again) is sent once more on a
// new connection if an idle one turns out to be closed.
func (c *Client) do(ctx context.Context, m *message, again bool, mayGo func() bool) (*envelope, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.config.Answer, &NoAnswerError{c.config.Answer})
	defer cancel()
	for {
		e, reused, err := c.try(ctx, m, mayGo)
		if err == nil || !again || !reused || !isHangUp(err) || ctx.Err() != nil || c.Closed() {
			return e, err
		}
	}
}

// isHangUp reports whether the server had closed the connection.
func isHangUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func (c *Client) try(ctx context.Context, m *message, mayGo func() bool) (_ *envelope, reused bool, err error) {
	ch, err := c.take(ctx)
	if err != nil {
		return nil, false, err
	}
	reused = ch.served
	if mayGo != nil && !mayGo() {
		c.put(ch)
		return nil, reused, ErrHeldBack
	}
	text, id := m.envelope(c.url, c.config.Poll)
	body, last, err := ch.exchange(ctx, []byte(text))
	if last {
		c.drop(ch.raw)
	} else {
		c.put(ch)
	}
	if err != nil {
		if c.Closed() {
			err = ErrClosed
		}
		return nil, reused, err
	}
	e, err := parseAnswer(body, id)
	return e, reused, err
}

// CreateShell makes a shell with these environment variables, and returns its id.
func (c *Client) CreateShell(ctx context.Context, env map[string]string) (string, error) {
	e, err := c.do(ctx, createMessage(env), true, nil)
	if err != nil {
		return "", err
	}
	return e.shellID()
}

// DeleteShell ends a shell and everything that runs in it. A shell that is gone is no error.
func (c *Client) DeleteShell(ctx context.Context, shell string) error {
	_, err := c.do(ctx, deleteMessage(shell), true, nil)
	if NoShell(err) {
		return nil
	}
	return err
}

// Command starts a command line in a shell with cmd.exe, and returns the command's id. mayGo is asked right before the request is sent.
func (c *Client) Command(ctx context.Context, shell, command string, mayGo func() bool) (string, error) {
	e, err := c.do(ctx, commandMessage(shell, command), false, mayGo)
	if err != nil {
		return "", err
	}
	return e.commandID()
}

// Send writes to the command's stdin, at most MaxChunk bytes, and closes it if end is set.
func (c *Client) Send(ctx context.Context, shell, command string, data []byte, end bool) error {
	_, err := c.do(ctx, sendMessage(shell, command, data, end), false, nil)
	return err
}

// MaxChunk is the size of the largest piece of stdin, in bytes. In base64, and with the rest of the envelope, it stays below envelopeSize.
const MaxChunk = 96 << 10

// Receive waits for output. If there is none within Config.Poll, it returns an empty Output.
func (c *Client) Receive(ctx context.Context, shell, command string) (*Output, error) {
	e, err := c.do(ctx, receiveMessage(shell, command), false, nil)
	if isFault(err, CodeTimedOut, "TimedOut") {
		return &Output{}, nil
	}
	if err != nil {
		return nil, err
	}
	return e.output()
}

// Terminate ends a command.
func (c *Client) Terminate(ctx context.Context, shell, command string) error {
	_, err := c.do(ctx, terminateMessage(shell, command), false, nil)
	return err
}
