package control_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/control/controltest"
)

// limited serves m with a limit of connections. It returns the socket, and the log.
func limited(t *testing.T, m control.Manager, limit int) (path string, log func() string) {
	t.Helper()
	var out lockedBuffer
	_, path = serveWith(t, m, limit, slog.NewTextHandler(&out, nil), nil)
	return path, out.String
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// TestStreamsLeaveRoom: lease streams do not use up the connections. A refused one is told why, the other requests are answered, and the end of
// one stream makes room for another.
func TestStreamsLeaveRoom(t *testing.T) {
	m := controltest.New(100)
	path, _ := limited(t, m, 20)
	c := control.NewClient(path)
	var streams []*control.Stream
	for i := range 10 { // the limit less the spare ones, or half of it
		s := open(t, c, acquire(fmt.Sprint("job-", i), "h"))
		next(t, s)
		streams = append(streams, s)
	}
	_, err := c.Lease(within(t), acquire("job-10", "h"))
	if !errors.Is(err, &control.APIError{Code: control.CodeBusy}) || !strings.Contains(err.Error(), "LimitNOFILE") {
		t.Fatalf("the stream above the limit: %v", err)
	}
	if _, err := c.Status(within(t), ""); err != nil {
		t.Errorf("a status meanwhile: %v", err)
	}
	if err := c.Release(within(t), control.ReleaseRequest{Key: "job-3"}); err != nil {
		t.Errorf("a release meanwhile: %v", err)
	}
	if ev := next(t, streams[3]); !ev.Released {
		t.Errorf("the released stream: %+v", ev)
	}
	if _, err := streams[3].Next(); err == nil {
		t.Error("the stream goes on")
	}
	for { // the server ends its side of the stream a moment later
		s, err := c.Lease(within(t), acquire("job-11", "h"))
		if errors.Is(err, &control.APIError{Code: control.CodeBusy}) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		break
	}
}

// TestMoreConnectionsThanAllowed: connections above the limit are refused with the reason, and the end of one makes room for another.
func TestMoreConnectionsThanAllowed(t *testing.T) {
	path, log := limited(t, controltest.New(1), 4)
	var idle []net.Conn
	for range 4 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// The answer shows that the server has taken the connection. It stays open.
		if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		idle = append(idle, conn)
	}
	c := control.NewClient(path)
	for i := range 50 {
		if _, err := c.Status(within(t), ""); !errors.Is(err, &control.APIError{Code: control.CodeBusy}) || !strings.Contains(err.Error(), "(4)") {
			t.Fatalf("request %d above the limit: %v", i, err)
		}
	}
	if n := strings.Count(log(), "refused connections to the control socket"); n != 1 {
		t.Errorf("%d records in the log:\n%s", n, log())
	}
	_ = idle[0].Close()
	for {
		_, err := c.Status(within(t), "")
		if errors.Is(err, &control.APIError{Code: control.CodeBusy}) {
			continue // the server has not seen the end yet
		}
		if err != nil {
			t.Errorf("after the end of one connection: %v", err)
		}
		break
	}
}

// TestManyTurnedAway: clients that connect and say nothing cannot make refused connections pile up.
func TestManyTurnedAway(t *testing.T) {
	path, _ := limited(t, controltest.New(1), 1)
	first, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	closed := 0
	var conns []net.Conn
	for range 40 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetReadDeadline(time.Now().Add(hang)); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) { // those that linger are closed within a second
			closed++
		}
	}
	if closed != len(conns) {
		t.Errorf("%d of %d connections were closed", closed, len(conns))
	}
}

// TestHalfARequest: a client that stops in the middle of a request is cut off, in the head and in the body, and a request that is too long is refused.
// A stream that was begun properly lives on.
func TestHalfARequest(t *testing.T) {
	m := controltest.New(0)
	_, path := serveWith(t, m, 0, slog.DiscardHandler, func(s *control.Server) { s.SetTimes(50 * time.Millisecond) })
	waiting := open(t, control.NewClient(path), acquire("job", "h"))
	if ev := next(t, waiting); ev.Wait == nil {
		t.Fatalf("first event %+v", ev)
	}
	for name, text := range map[string]string{
		"nothing": "", "half a line": "POST /v1/lea", "half a head": "POST /v1/leases HTTP/1.1\r\nHost: x\r\n",
		"half a body":  "POST /v1/leases HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"key\":",
		"more to come": "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"key\": \"k\"} ",
		"two values":   "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"key\": \"k\"} {",
		"half a chunk": "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{\"key\":",
		"not awaited":  "GET /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
		"unknown path": "POST /v2/leases HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
		"one, no more": "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		"a long head":  "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10),
	} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, text); err != nil && name != "a long head" {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(hang)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection stays open", name)
		}
	}
	m.AddSlots(1)
	if ev := next(t, waiting); ev.Lease == nil {
		t.Errorf("the stream after %d times the limit: %+v", 7, ev)
	}
}

// TestEndlessLine: what listens may be no manager. Its answer does not fill the memory.
func TestEndlessLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		chunk := bytes.Repeat([]byte("x"), 64<<10)
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	s := open(t, control.NewClient(path), acquire("job", "h"))
	if _, err := s.Next(); err == nil || !strings.Contains(err.Error(), "longer than 1048576 bytes") {
		t.Errorf("got %v", err)
	}
}
