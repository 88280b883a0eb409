package control_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/control/controltest"
)

// FuzzStream: a daemon that answers a request for a lease, a drain, a release or a status with arbitrary bytes. The client returns events or one error in
// time, and never more events than there are lines. What it reads is bounded. An error has a text, and an error of the daemon has a code or a message.
// After Close nothing is left.
func FuzzStream(f *testing.F) {
	const head = "HTTP/1.1 200 OK\r\n\r\n"
	for n, answer := range []string{
		head + `{"wait":{"position":1,"cause":"boot","sentence":"x"}}` + "\n" + `{"alive":true}` + "\n" + `{"lease":{"key":"k","instance":"i-1","slot":-1}}` + "\n" + `{"released":true}` + "\n",
		head + `{"error":{"code":"","message":""}}` + "\n", head + "{}\n{}\nnull\n[]\n", head + "\n\n\n", head + `{"alive":true}`,
		"HTTP/1.1 404 Not Found\r\n\r\n" + `{"error":{}}`, "HTTP/1.1 503 x\r\n\r\n<html>", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"ali\r\nffffffffff\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{", "HTTP/1.1 100 Continue\r\n\r\n", "SSH-2.0-x\r\n", "", head + `{"runners":[{"name":"a","fleet":{}}]}`,
		"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n",
	} {
		f.Add([]byte(answer), byte(n))
	}
	f.Fuzz(func(t *testing.T, answer []byte, call byte) {
		var far sync.WaitGroup
		defer far.Wait()
		dials := 0
		c := control.NewClientWithDialer("a pipe", func(context.Context) (net.Conn, error) {
			if dials++; dials > 20 {
				return nil, errors.New("asked too often")
			}
			ours, theirs := net.Pipe()
			far.Go(func() {
				defer theirs.Close()
				if r, err := http.ReadRequest(bufio.NewReader(theirs)); err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
				}
				_, _ = theirs.Write(answer)
			})
			return ours, nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), hang)
		defer cancel()
		var err error
		switch call % 4 {
		case 0:
			err = readStream(ctx, t, c, answer)
		case 1:
			err = c.Drain(ctx, "")
		case 2:
			err = c.Release(ctx, control.ReleaseRequest{Key: "k"})
		default:
			_, err = c.Status(ctx, "one")
		}
		if ctx.Err() != nil {
			t.Fatalf("no answer in time: %v", err)
		}
		var api *control.APIError
		if err != nil && (err.Error() == "" || errors.As(err, &api) && api.Code == "") {
			t.Fatalf("an error that says nothing: %#v", err)
		}
	})
}

// readStream reads a lease stream to its end, which is always an error.
func readStream(ctx context.Context, t *testing.T, c *control.Client, answer []byte) error {
	s, err := c.Lease(ctx, acquire("k", "h"))
	if err != nil {
		return err
	}
	defer s.Close()
	for n := 0; ; n++ {
		ev, err := s.Next()
		if err != nil {
			return err
		}
		if n > bytes.Count(answer, []byte("\n")) {
			t.Fatalf("event %d of %q: %+v", n, answer, ev)
		}
		if ev.Error != nil && (ev.Error.Code == "" || ev.Error.Message == "") {
			t.Fatalf("an error that says nothing: %+v", ev.Error)
		}
	}
}

// FuzzConnection: a client that sends arbitrary bytes on a connection. The server answers or closes it in time, goes on with other connections, and leaves
// neither a lease nor a goroutine. Whatever it answers is HTTP, and an error has a code.
func FuzzConnection(f *testing.F) {
	for _, sent := range []string{
		"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n", "POST /v1/leases HTTP/1.1\r\nHost: x\r\nContent-Length: 43\r\n\r\n" + `{"key":"job","mode":"acquire","holder":"h"}`,
		"POST /v1/leases/release HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}", "POST /v1/drain?runner=%ff HTTP/1.1\r\nHost: x\r\n\r\n", "GET //v1/status HTTP/1.1\r\nHost: x\r\n\r\n", "\x00", "GET / HTTP/9.9\r\n",
		"POST /v1/reservations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /readyz HTTP/1.0\r\n\r\n",
		"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/manager HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	} {
		f.Add([]byte(sent))
	}
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	m := controltest.New(1)
	s := control.NewServer(m, 0, slog.New(slog.DiscardHandler))
	s.SetTimes(50 * time.Millisecond)
	s.SetAlive(50 * time.Millisecond) // the answer to a drain or to a wait for a lease begins with it
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	f.Cleanup(func() {
		_ = s.Close()
		if err := <-served; err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, sent []byte) {
		conn := l.dial()
		_ = conn.SetDeadline(time.Now().Add(hang))
		var far sync.WaitGroup
		far.Go(func() { _, _ = conn.Write(sent) })
		answered := bufio.NewReader(conn)
		if bytes.Count(sent, []byte("\n")) > 0 {
			res, err := http.ReadResponse(answered, nil) //nolint:bodyclose // its connection is closed below
			var limit net.Error
			if errors.As(err, &limit) && limit.Timeout() {
				t.Fatalf("no answer to %q", sent)
			}
			if err == nil && res.StatusCode == http.StatusOK != (res.StatusCode < 400) {
				t.Fatalf("the answer to %q has the status %s", sent, res.Status)
			}
		}
		_ = conn.Close()
		far.Wait()
		other := control.NewClientWithDialer("a pipe", func(context.Context) (net.Conn, error) { return l.dial(), nil })
		_, err := other.Info(t.Context())
		for tries := 0; err != nil && tries < 20; tries++ { // on a loaded machine even a good request may pass the short limit
			_, err = other.Info(t.Context())
		}
		if err != nil {
			t.Fatalf("after %q, another client: %v", sent, err)
		}
	})
}

// pipeListener gives its server connections in memory.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) dial() net.Conn {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
	case <-l.done:
		_ = theirs.Close()
	}
	return ours
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "a pipe", Net: "unix"} }
