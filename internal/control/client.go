package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Client is a client of a manager.
type Client struct {
	where string
	dial  Dialer
	limit time.Duration // answerTimeout; tests set another
	alive time.Duration // aliveWithin; tests set another
}

// Dialer opens a connection to the manager.
type Dialer func(ctx context.Context) (net.Conn, error)

// NewClient returns a client of the manager at the Unix socket path. It does not connect yet.
func NewClient(path string) *Client {
	return NewClientWithDialer(path, func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		conn, err := patient(ctx, func() (net.Conn, error) { return d.DialContext(ctx, "unix", path) })
		if err != nil {
			return nil, err
		}
		if err := checkManager(conn, path, os.Geteuid()); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return conn, nil
	})
}

// NewClientWithDialer returns a client that connects with dial. where names the manager in messages.
func NewClientWithDialer(where string, dial Dialer) *Client {
	return &Client{where: where, dial: dial, limit: answerTimeout, alive: aliveWithin}
}

// send sends req on a new connection, so that no connection to an old manager is used after a restart. An error also contains the error of
// the connection, because net/http may replace it by an error of its own.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	var ended atomic.Pointer[error]
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := c.dial(ctx)
			if err != nil {
				return nil, err
			}
			return &watchedConn{Conn: conn, ended: &ended}, nil
		},
		DisableKeepAlives: true,
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err == nil {
		return res, nil
	}
	var request *url.Error // contains "Post" and an address that does not exist
	if errors.As(err, &request) {
		err = request.Err
	}
	if end := ended.Load(); end != nil && !errors.Is(err, *end) {
		err = fmt.Errorf("%w (%w)", err, *end)
	}
	return nil, err
}

// watchedConn remembers the first read error.
type watchedConn struct {
	net.Conn
	ended *atomic.Pointer[error]
}

// Read implements net.Conn.
func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.ended.CompareAndSwap(nil, &err)
	}
	return n, err
}

// AwayError says that no manager answered.
type AwayError struct {
	Where string
	Err   error
}

// Error says what to do.
func (e *AwayError) Error() string {
	switch {
	case e.absent():
		return fmt.Sprintf("no manager is running at %s: start one with `taskscaler run --config FILE`, or give its socket with --socket", e.Where)
	case e.cut():
		return fmt.Sprintf("the manager at %s went away before it answered: try again when it runs", e.Where)
	case errors.Is(e.Err, fs.ErrPermission):
		return fmt.Sprintf("the socket %s may not be used by this user: run the command as the user of the manager, or give the socket of another manager with --socket", e.Where)
	}
	return fmt.Sprintf("the manager at %s does not answer: %v; check the manager's log", e.Where, e.Err)
}

// Gone reports whether there is no manager, or it went away, so that a new one may start. If false, the manager may run but cannot be reached.
func (e *AwayError) Gone() bool { return e.absent() || e.cut() }

// absent reports whether no process listens.
func (e *AwayError) absent() bool {
	return errors.Is(e.Err, fs.ErrNotExist) || errors.Is(e.Err, syscall.ECONNREFUSED)
}

// cut reports whether the manager ended while the connection was open.
func (e *AwayError) cut() bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(e.Err, end) {
			return true
		}
	}
	return false
}

// Unwrap returns the transport's error.
func (e *AwayError) Unwrap() error { return e.Err }

// Info asks for information about the manager.
func (c *Client) Info(ctx context.Context) (ManagerInfo, error) {
	var info ManagerInfo
	return info, c.soon(ctx, http.MethodGet, "/v1/manager", "", nil, &info)
}

// Status asks for the status of the selected runner, or of all.
func (c *Client) Status(ctx context.Context, runner string) (Status, error) {
	var status Status
	return status, c.soon(ctx, http.MethodGet, "/v1/status", runner, nil, &status)
}

// StatusOf is Status with at most so many instances of each runner. A manager of an earlier release sends all.
func (c *Client) StatusOf(ctx context.Context, runner string, instances int) (Status, error) {
	var status Status
	return status, c.soon(ctx, http.MethodGet, "/v1/status?instances="+strconv.Itoa(instances), runner, nil, &status)
}

// Drain asks the selected runner, or all, to take no new work. It returns when the last lease has ended, which may take as long as jobs run; or with
// an *AwayError, when the manager gives no sign of life.
func (c *Client) Drain(ctx context.Context, runner string) error {
	s, err := c.open(ctx, "/v1/drain", runner, nil)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	ev, err := s.Next()
	if err == nil && ev.Error != nil {
		err = ev.Error
	}
	return err
}

// Undrain asks the selected runner, or all, to take new work again.
func (c *Client) Undrain(ctx context.Context, runner string) error {
	return c.soon(ctx, http.MethodPost, "/v1/drain", runner, DrainRequest{Undo: true}, nil)
}

// Release releases a lease.
func (c *Client) Release(ctx context.Context, req ReleaseRequest) error {
	return c.soon(ctx, http.MethodPost, "/v1/leases/release", "", req, nil)
}

// Reserve makes a reservation, or cancels it.
func (c *Client) Reserve(ctx context.Context, req ReserveRequest) error {
	return c.soon(ctx, http.MethodPost, "/v1/reservations", "", req, nil)
}

// answerTimeout is how long a manager may take to answer a request that is not a wait.
const answerTimeout = 30 * time.Second

// soon is call for requests that a manager answers at once.
func (c *Client) soon(ctx context.Context, method, path, runner string, body, into any) error {
	late := &AwayError{Where: c.where, Err: fmt.Errorf("no answer within %s: it may be starting, stopped or overloaded", c.limit)}
	ctx, cancel := context.WithTimeoutCause(ctx, c.limit, late)
	defer cancel()
	err := c.call(ctx, method, path, runner, body, into)
	if err != nil && errors.Is(context.Cause(ctx), late) {
		return late
	}
	return err
}

func (c *Client) call(ctx context.Context, method, path, runner string, body, into any) error {
	res, err := c.do(ctx, method, path, runner, body)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if into == nil {
		_, err = io.Copy(io.Discard, res.Body)
	} else {
		err = json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(into)
	}
	if err != nil {
		return &AwayError{Where: c.where, Err: err}
	}
	return nil
}

// do sends a request. An error that the manager answered becomes an *APIError. If there was no answer, the error is an *AwayError.
func (c *Client) do(ctx context.Context, method, path, runner string, body any) (*http.Response, error) {
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		payload = bytes.NewReader(raw)
	}
	target := "http://taskscaler" + path
	if runner != "" {
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		target += separator + "runner=" + url.QueryEscape(runner)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, payload)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	res, err := c.send(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var stranger *StrangerError
		if errors.As(err, &stranger) {
			return nil, stranger
		}
		return nil, &AwayError{Where: c.where, Err: err}
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }()
	var ev Event
	if err := json.NewDecoder(io.LimitReader(res.Body, maxEvent)).Decode(&ev); err != nil || ev.Error == nil {
		return nil, fmt.Errorf("the manager at %s answered %s, which is not taskscaler's control API: check --socket", c.where, res.Status)
	}
	return nil, ev.Error.complete()
}

// Stream is an open stream of events: a lease, or a drain.
type Stream struct {
	where  string
	ctx    context.Context
	cancel context.CancelFunc
	body   io.ReadCloser
	lines  *bufio.Reader
	alive  time.Duration
	watch  *time.Timer // ends ctx when the manager gave no sign of life
}

// Lease opens a lease stream. It lives until it is closed, ctx ends, or the manager goes away or gives no sign of life. If ctx ends before the
// manager has accepted the request, the error is an *UnansweredError.
func (c *Client) Lease(ctx context.Context, req LeaseRequest) (*Stream, error) {
	return c.open(ctx, "/v1/leases", "", req)
}

func (c *Client) open(ctx context.Context, path, runner string, body any) (*Stream, error) {
	late := &AwayError{Where: c.where, Err: fmt.Errorf("no sign of life within %s: it may be stopped or overloaded", c.alive)}
	caller, began := ctx, time.Now()
	ctx, end := context.WithCancelCause(ctx)
	s := &Stream{where: c.where, ctx: ctx, cancel: func() { end(nil) }, alive: c.alive}
	s.watch = time.AfterFunc(c.alive, func() { end(late) })
	res, err := c.do(ctx, http.MethodPost, path, runner, body) //nolint:bodyclose // Close closes it
	if err != nil {
		s.watch.Stop()
		s.cancel()
		if caller.Err() != nil {
			err = c.unanswered(began, context.Cause(caller))
		}
		return nil, err
	}
	s.body, s.lines = res.Body, bufio.NewReader(res.Body)
	return s, nil
}

// Next waits for the next event that is no sign of life. An *AwayError says that the connection was lost, or that the manager hangs.
func (s *Stream) Next() (Event, error) {
	defer s.watch.Stop() // nobody reads until the next call
	for {
		s.watch.Reset(s.alive)
		line, err := readLine(s.lines, maxEvent)
		if err != nil {
			if s.ctx.Err() != nil {
				return Event{}, context.Cause(s.ctx)
			}
			return Event{}, &AwayError{Where: s.where, Err: err}
		}
		var ev Event
		if err := json.Unmarshal(line, &ev); err != nil {
			return Event{}, fmt.Errorf("reading the manager's answer: %w", err)
		}
		if ev.Error != nil {
			ev.Error = ev.Error.complete()
		}
		if !ev.Alive {
			return ev, nil
		}
	}
}

// Bounds of what a client reads, in bytes.
const (
	maxEvent  = 1 << 20 // one event of a stream, or an error
	maxAnswer = 1 << 30 // a status: 200,000 instances have 100 MB
)

// readLine reads one line. A longer one than limit is an error.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); len(line) > limit {
			return nil, fmt.Errorf("a line of the answer is longer than %d bytes", limit)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// Close ends the stream. If its lease was not released, the lease is detached.
func (s *Stream) Close() error {
	s.watch.Stop()
	defer s.cancel()
	return s.body.Close()
}
