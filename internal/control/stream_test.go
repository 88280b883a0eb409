package control_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/control/controltest"
)

// TestSignsOfLife: a lease that lives long, a wait, and a drain last longer than a client waits for a sign of life. Nobody sees the signs.
func TestSignsOfLife(t *testing.T) {
	m := controltest.New(1)
	_, path := serveWith(t, m, 0, slog.DiscardHandler, func(s *control.Server) { s.SetAlive(2 * time.Millisecond) })
	c := control.NewClient(path)
	c.SetAlive(5 * time.Second) // a busy machine is late at times
	held := open(t, c, acquire("held", "h"))
	if ev := next(t, held); ev.Lease == nil {
		t.Fatalf("first event %+v", ev)
	}
	waiting := open(t, c, acquire("waiting", "h"))
	if ev := next(t, waiting); ev.Wait == nil {
		t.Fatalf("first event %+v", ev)
	}
	drained := make(chan error, 1)
	go func() { drained <- c.Drain(within(t), "") }()
	await(t, m, "drain", 1)

	silent := control.NewClient(path) // for this one, nothing is alive: it shows when the time has passed
	silent.SetAlive(time.Nanosecond)
	for range 20 {
		var away *control.AwayError
		if err := silent.Drain(within(t), ""); !errors.As(err, &away) {
			t.Fatalf("a client without patience: %v", err)
		}
	}
	if err := c.Release(within(t), control.ReleaseRequest{Key: "held"}); err != nil {
		t.Fatal(err)
	}
	if ev := next(t, held); !ev.Released {
		t.Errorf("the lease: %+v", ev)
	}
	ev := next(t, waiting)
	for ; ev.Wait != nil; ev = next(t, waiting) {
	}
	if ev.Lease == nil {
		t.Fatalf("the wait ends with %+v", ev)
	}
	_ = waiting.Close()
	if err := c.Release(within(t), control.ReleaseRequest{Key: "waiting"}); err != nil {
		t.Fatal(err)
	}
	if err := <-drained; err != nil {
		t.Errorf("the drain: %v", err)
	}
}

// TestFailureOfAStream: an error has an HTTP status if it comes first. After a sign of life it is the last line.
func TestFailureOfAStream(t *testing.T) {
	early := control.NewServer(controltest.New(1), 0, slog.New(slog.DiscardHandler))
	w := httptest.NewRecorder()
	early.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/leases", strings.NewReader(`{"key":"k","mode":"acquire","runner":"none"}`)))
	if w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "alive") {
		t.Errorf("an early error: %d %s", w.Code, w.Body)
	}

	m := controltest.New(1)
	_, path := serveWith(t, m, 0, slog.DiscardHandler, func(s *control.Server) { s.SetAlive(time.Millisecond) })
	c := control.NewClient(path)
	if ev := next(t, open(t, c, acquire("job", "h"))); ev.Lease == nil {
		t.Fatalf("first event %+v", ev)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(hang)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST /v1/drain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(conn)
	until := func(part string) string {
		for lines.Scan() {
			if strings.Contains(lines.Text(), part) {
				return lines.Text()
			}
		}
		t.Fatalf("the answer ends without %q: %v", part, lines.Err())
		return ""
	}
	if first := until("HTTP/1.1"); !strings.Contains(first, "200") {
		t.Errorf("status %q", first)
	}
	until(`{"alive":true}`)
	if err := c.Undrain(within(t), ""); err != nil {
		t.Fatal(err)
	}
	until(`"error":{"code":"undrained"`)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "{") {
			t.Errorf("a line after the error: %s", lines.Text())
		}
	}
}

// TestHeldDuringADrain: a caller that waits when a drain begins is told so once and keeps its stream. It is asked for a slot again when the drain
// has ended, and not before: each attempt would be a refusal in the journal. A caller that comes later is refused.
func TestHeldDuringADrain(t *testing.T) {
	m := controltest.New(0)
	c, _, _ := serve(t, m)
	s := open(t, c, acquire("job", "h"))
	if ev := next(t, s); ev.Wait == nil || ev.Wait.Cause != "boot" {
		t.Fatalf("first event %+v", ev)
	}
	m.RefuseWaiters(control.Errorf(control.CodeDraining, "draining"))
	if ev := next(t, s); ev.Wait == nil || ev.Wait.Cause != "draining" || !strings.Contains(ev.Wait.Sentence, "drain --undo") {
		t.Fatalf("when the drain begins: %+v", ev)
	}
	await(t, m, "held", 1)
	late := open(t, c, acquire("late", "h"))
	if ev := next(t, late); ev.Error == nil || ev.Error.Code != control.CodeDraining {
		t.Errorf("a late caller: %+v", ev)
	}
	m.AddSlots(1)
	if err := c.Undrain(within(t), ""); err != nil {
		t.Fatal(err)
	}
	if ev := next(t, s); ev.Lease == nil {
		t.Errorf("after the drain: %+v", ev)
	}
	asked := 0
	for _, call := range m.Calls() {
		if call == "acquire job" {
			asked++
		}
	}
	if asked != 2 {
		t.Errorf("the slot was asked for %d times: before and after the drain is enough", asked)
	}
}

// TestResumedDuringADrain: a caller that waited at an earlier manager is held as well. The new manager never told it to wait.
func TestResumedDuringADrain(t *testing.T) {
	m := controltest.New(1)
	c, _, _ := serve(t, m)
	m.RefuseWaiters(control.Errorf(control.CodeDraining, "draining"))
	s := open(t, c, control.LeaseRequest{Key: "job", Mode: control.ModeResume, Holder: "h"})
	if ev := next(t, s); ev.Wait == nil || ev.Wait.Cause != "draining" {
		t.Fatalf("during the drain: %+v", ev)
	}
	await(t, m, "held", 1)
	if err := c.Undrain(within(t), ""); err != nil {
		t.Fatal(err)
	}
	if ev := next(t, s); ev.Lease == nil {
		t.Errorf("after the drain: %+v", ev)
	}
}

// TestUnreadStreamLives: a client that does something else for longer than it waits for a sign of life keeps its stream. It reads no signs then.
func TestUnreadStreamLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		more := make(chan string)
		go func() {
			defer func() { _ = theirs.Close() }()
			if _, err := http.ReadRequest(bufio.NewReader(theirs)); err != nil {
				t.Error(err)
			}
			_, _ = io.WriteString(theirs, "HTTP/1.1 200 OK\r\n\r\n"+`{"lease":{"key":"k","instance":"i-1"}}`+"\n")
			for text := range more {
				_, _ = io.WriteString(theirs, text+"\n")
			}
		}()
		c := control.NewClientWithDialer("a pipe", func(context.Context) (net.Conn, error) { return ours, nil })
		s, err := c.Lease(t.Context(), acquire("k", "h"))
		if err != nil {
			t.Fatal(err)
		}
		if ev, err := s.Next(); err != nil || ev.Lease == nil {
			t.Fatalf("first event %+v, %v", ev, err)
		}
		time.Sleep(time.Hour)
		more <- `{"released":true}`
		close(more)
		if ev, err := s.Next(); err != nil || !ev.Released {
			t.Errorf("after an hour: %+v, %v", ev, err)
		}
		_ = s.Close()
	})
}

// TestEachSignOfLifeCounts: a stream on which nothing but signs of life arrive for an hour is alive. One without them is given up.
func TestEachSignOfLifeCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		go func() {
			defer func() { _ = theirs.Close() }()
			if _, err := http.ReadRequest(bufio.NewReader(theirs)); err != nil {
				t.Error(err)
			}
			_, _ = io.WriteString(theirs, "HTTP/1.1 200 OK\r\n\r\n"+`{"lease":{"key":"k","instance":"i-1"}}`+"\n")
			for range 120 {
				time.Sleep(30 * time.Second)
				_, _ = io.WriteString(theirs, `{"alive":true}`+"\n")
			}
			_, _ = io.WriteString(theirs, `{"wait":{"cause":"boot"}}`+"\n")
			_, _ = io.Copy(io.Discard, theirs) // until the client gives up
		}()
		c := control.NewClientWithDialer("a pipe", func(context.Context) (net.Conn, error) { return ours, nil })
		s, err := c.Lease(t.Context(), acquire("k", "h"))
		if err != nil {
			t.Fatal(err)
		}
		if ev, err := s.Next(); err != nil || ev.Lease == nil {
			t.Fatalf("first event %+v, %v", ev, err)
		}
		if ev, err := s.Next(); err != nil || ev.Wait == nil {
			t.Fatalf("after an hour of signs of life: %+v, %v", ev, err)
		}
		var away *control.AwayError
		if ev, err := s.Next(); !errors.As(err, &away) {
			t.Errorf("after a minute without a sign: %+v, %v", ev, err)
		}
		_ = s.Close()
	})
}
