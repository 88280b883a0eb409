package connector

import (
	"bytes"
	"io"
	"strconv"
	"sync"
	"time"
)

// gate wraps a writer of the caller. It reports the first failed Write. Once it is shut, no Write begins.
type gate struct {
	to     io.Writer
	failed func(error)

	busy chan struct{} // holds a token while no Write is in progress
	mu   sync.Mutex
	shut bool
}

func newGate(to io.Writer, failed func(error)) *gate {
	if to == nil {
		to = io.Discard
	}
	g := &gate{to: to, failed: failed, busy: make(chan struct{}, 1)}
	g.busy <- struct{}{}
	return g
}

// Write drops p if the gate is shut, so that the remote side does not block on output that is no longer wanted.
func (g *gate) Write(p []byte) (int, error) {
	<-g.busy
	defer func() { g.busy <- struct{}{} }()
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut || len(p) == 0 {
		return len(p), nil
	}
	n, err := g.to.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		g.close()
		g.failed(err)
		return len(p), nil // go on and drop the rest
	}
	return n, nil
}

func (g *gate) close() {
	g.mu.Lock()
	g.shut = true
	g.mu.Unlock()
}

// closeWait shuts the gate and waits until no Write is in progress, but no longer than patience.
func (g *gate) closeWait(patience time.Duration) {
	g.close()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-g.busy:
		g.busy <- struct{}{}
	case <-timer.C:
	}
}

// pidFilter removes the line "MARK PID\n" from a stream, wherever it begins, and reports PID. Everything else passes. It holds bytes back
// only as long as they can be the beginning of that line. The line is in one of two streams: who finds it ends the search of the other.
type pidFilter struct {
	to    io.Writer
	mark  []byte
	found func(pid int)
	other *pidFilter // nil: there is none

	mu   sync.Mutex
	held []byte
	done bool
}

const maxPIDLine = 24 // length of " PID\n"

func (f *pidFilter) Write(p []byte) (int, error) {
	n, found, err := f.take(p)
	if found && f.other != nil { // without our lock, because the other may be here too
		_ = f.other.flush()
	}
	return n, err
}

// take reports whether p completed the line.
func (f *pidFilter) take(p []byte) (n int, found bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		n, err = f.to.Write(p)
		return n, false, err
	}
	f.held = append(f.held, p...)
	err = f.sift()
	return len(p), f.done, err
}

func (f *pidFilter) sift() error {
	at := bytes.Index(f.held, f.mark)
	if at < 0 {
		return f.pass(len(f.held) - overlap(f.held, f.mark))
	}
	rest := f.held[at+len(f.mark):]
	end := bytes.IndexByte(rest, '\n')
	if end < 0 && len(rest) < maxPIDLine {
		return f.pass(at)
	}
	f.done = true
	if end >= 0 {
		if pid, err := strconv.Atoi(string(bytes.TrimSpace(rest[:end]))); err == nil && pid > 1 {
			f.found(pid)
			f.held = append(f.held[:at:at], rest[end+1:]...)
		}
	}
	return f.end()
}

// pass writes the first n held bytes.
func (f *pidFilter) pass(n int) error {
	if n == 0 {
		return nil
	}
	_, err := f.to.Write(f.held[:n])
	f.held = append(f.held[:0], f.held[n:]...)
	return err
}

// flush ends the search and writes what is held.
func (f *pidFilter) flush() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.end()
}

func (f *pidFilter) end() error {
	f.done = true
	err := f.pass(len(f.held))
	f.held = nil
	return err
}

// overlap returns the length of the longest suffix of s that is a prefix of mark.
func overlap(s, mark []byte) int {
	for n := min(len(s), len(mark)-1); n > 0; n-- {
		if bytes.HasPrefix(mark, s[len(s)-n:]) {
			return n
		}
	}
	return 0
}

// inputReader records a failure of the caller's Stdin, to distinguish it from one of the connection.
type inputReader struct {
	from io.Reader
	err  error
}

func (r *inputReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// tail keeps the last maxTail bytes that are written to it, for an error message.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const maxTail = 1 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - maxTail; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.kept))
}
