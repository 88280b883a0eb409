package connector

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// sift writes the pieces to a filter and returns what passed and the process id.
func sift(t testing.TB, mark string, pieces ...string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	pid := 0
	f := &pidFilter{to: &out, mark: []byte(mark), found: func(p int) { pid = p }}
	for _, p := range pieces {
		if n, err := f.Write([]byte(p)); n != len(p) || err != nil {
			t.Fatalf("wrote %d of %q: %v", n, p, err)
		}
	}
	if err := f.flush(); err != nil {
		t.Fatal(err)
	}
	return out.String(), pid
}

func TestPIDFilter(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []string
		want string
		pid  int
	}{
		{"alone", []string{"MARK 12\n"}, "", 12},
		{"in pieces", []string{"MA", "RK", " 1", "2", "\n", "err"}, "err", 12},
		{"after other output", []string{"motd\nMA", "Marks\nMARK 34\nerr\n"}, "motd\nMAMarks\nerr\n", 34},
		{"only once", []string{"MARK 12\nMARK 34\n"}, "MARK 34\n", 12},
		{"none", []string{"nothing ", "of it"}, "nothing of it", 0},
		{"never complete", []string{"err MAR"}, "err MAR", 0},
		{"no number", []string{"MARK x\nerr"}, "MARK x\nerr", 0},
		{"endless number", []string{"MARK ", strings.Repeat("1", 40), "\n"}, "MARK " + strings.Repeat("1", 40) + "\n", 0},
		{"a process id that must not be signalled", []string{"MARK 1\n"}, "MARK 1\n", 0},
		{"windows line end", []string{"MARK 12\r\nerr"}, "err", 12},
	} {
		if got, pid := sift(t, "MARK", c.in...); got != c.want || pid != c.pid {
			t.Errorf("%s: %q, pid %d; want %q, pid %d", c.name, got, pid, c.want, c.pid)
		}
	}
}

// The line is in one of two streams. Who finds it lets the other one's bytes pass.
func TestPIDFilterOfTwoStreams(t *testing.T) {
	for _, inStdout := range []bool{true, false} {
		var outs [2]bytes.Buffer
		pid := 0
		found := func(p int) { pid = p }
		with, without := &pidFilter{to: &outs[0], mark: []byte("MARK"), found: found}, &pidFilter{to: &outs[1], mark: []byte("MARK"), found: found}
		with.other, without.other = without, with
		if inStdout {
			with, without = without, with
		}
		_, _ = io.WriteString(without, "prompt: MA")
		if outs[0].String()+outs[1].String() != "prompt: " {
			t.Errorf("passed: %q, %q", &outs[0], &outs[1])
		}
		_, _ = io.WriteString(with, "MARK 12\nhello")
		if got := outs[0].String() + outs[1].String(); pid != 12 || !strings.Contains(got, "prompt: MA") || !strings.Contains(got, "hello") || strings.Contains(got, "MARK") {
			t.Errorf("pid %d, passed: %q, %q", pid, &outs[0], &outs[1])
		}
		_, _ = io.WriteString(without, "MARK 13\n")
		if got := outs[0].String() + outs[1].String(); pid != 12 || !strings.Contains(got, "MARK 13\n") {
			t.Errorf("the search went on: pid %d, passed %q", pid, got)
		}
	}
}

func FuzzPIDFilter(f *testing.F) {
	f.Add("noise MAR", "MARK 12\nrest MARK 3\n", 5)
	f.Add("", "MAMARK 7\n", 1)
	f.Fuzz(func(t *testing.T, before, after string, cut int) {
		if strings.Contains(before+"MARK", "MARK") && strings.Index(before+"MARK", "MARK") != len(before) {
			return
		}
		all := before + "MARK 12\n" + after
		cut = min(max(cut, 0), len(all))
		if got, pid := sift(t, "MARK", all[:cut], all[cut:]); got != before+after || pid != 12 {
			t.Fatalf("%q cut at %d gave %q, pid %d", all, cut, got, pid)
		}
		// Without a mark everything passes.
		if got, pid := sift(t, "\x00\x01never", all[:cut], all[cut:]); got != all || pid != 0 {
			t.Fatalf("%q gave %q", all, got)
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestGateShut(t *testing.T) {
	var out bytes.Buffer
	g := newGate(&out, func(error) {})
	_, _ = io.WriteString(g, "before")
	g.closeWait(time.Minute)
	if n, err := io.WriteString(g, "after"); n != 5 || err != nil || out.String() != "before" {
		t.Errorf("wrote %d, %v; %q", n, err, &out)
	}
}

func TestGateWaitsForAWriteButNotForEver(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	g := newGate(writerFunc(func(p []byte) (int, error) { close(entered); <-leave; return len(p), nil }), func(error) {})
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.WriteString(g, "x") })
	<-entered
	g.closeWait(time.Millisecond) // gives up
	close(leave)
	g.closeWait(time.Minute) // does not have to
	wg.Wait()
}

func TestGateReportsFailures(t *testing.T) {
	for name, w := range map[string]io.Writer{
		"error": writerFunc(func([]byte) (int, error) { return 0, io.ErrClosedPipe }),
		"short": writerFunc(func([]byte) (int, error) { return 0, nil }),
	} {
		var got []error
		g := newGate(w, func(err error) { got = append(got, err) })
		for range 2 {
			if n, err := io.WriteString(g, "x"); n != 1 || err != nil {
				t.Errorf("%s: the stream stopped: %d, %v", name, n, err)
			}
		}
		if len(got) != 1 || !(errors.Is(got[0], io.ErrClosedPipe) || errors.Is(got[0], io.ErrShortWrite)) {
			t.Errorf("%s: reported %v", name, got)
		}
	}
}

func TestTail(t *testing.T) {
	var tl tail
	_, _ = io.WriteString(&tl, strings.Repeat("a", 3*maxTail))
	_, _ = io.WriteString(&tl, "the end\n")
	if s := tl.String(); len(s) != maxTail-1 || !strings.HasSuffix(s, "the end") {
		t.Errorf("kept %d bytes, %q", len(s), s[len(s)-10:])
	}
}

// TestOutputFailsAtTheEnd: the command has ended when the failure of its output is noticed. It ran, and its end was seen.
func TestOutputFailsAtTheEnd(t *testing.T) {
	full := errors.New("no space left on device")
	r := newRun(nil, RunOptions{Command: "true", Unwrapped: true, Stdout: writerFunc(func([]byte) (int, error) { return 0, full })})
	_, _ = r.out.Write([]byte("x"))
	close(r.done)
	var cancelled *CancelError
	if err := r.result(); !errors.As(err, &cancelled) || !cancelled.Sent || !cancelled.Ended || !errors.Is(err, full) {
		t.Errorf("got %#v", err)
	}
}
