package main

import (
	"context"
	"io"
	"os"
	"sync"

	"golang.org/x/term"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// terminal is the terminal of the caller, for a command that has one on the instance.
type terminal struct {
	fd   int
	is   bool // stdin is a terminal
	name string

	mu     sync.Mutex
	state  *term.State // to restore; nil: it is as it was
	resize context.CancelFunc
}

// newTerminal returns the terminal that is stdin, or one that is none.
func newTerminal(stdin io.Reader, getenv func(string) string) *terminal {
	t := &terminal{name: getenv("TERM")}
	if f, ok := stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		t.fd, t.is = int(f.Fd()), true
	}
	return t
}

// open makes the terminal raw, so that the one of the instance gets each key as it is.
func (t *terminal) open() (*connector.PTY, func(), error) {
	pty := &connector.PTY{Term: t.name}
	if !t.is {
		return pty, func() {}, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	state, err := term.MakeRaw(t.fd)
	if err != nil {
		return nil, nil, err
	}
	t.state = state
	ctx, cancel := context.WithCancel(context.Background())
	t.resize = cancel
	pty.Resize = watchSize(ctx, t) // before the size is read, so that no change is missed
	pty.Size = t.size()
	return pty, t.restore, nil
}

// size returns the size of the window, or zero if it is not known.
func (t *terminal) size() connector.WindowSize {
	columns, rows, err := term.GetSize(t.fd)
	if err != nil {
		return connector.WindowSize{}
	}
	return connector.WindowSize{Columns: columns, Rows: rows}
}

// restore gives the terminal back as it was. It may be called several times, and without open.
func (t *terminal) restore() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == nil {
		return
	}
	t.resize()
	_ = term.Restore(t.fd, t.state)
	t.state = nil
}
