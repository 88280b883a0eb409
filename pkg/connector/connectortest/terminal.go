package connectortest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// terminal: all three streams are a terminal of the given type and size, and the status of the command is the same as without one. A server without
// terminals says so, and runs nothing.
func (s *suite) terminal(t *testing.T) {
	var out, errs bytes.Buffer
	err := s.run(t, connector.RunOptions{
		Command: `[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo "$TERM"; stty size; echo to stderr >&2; exit 5`, Stdout: &out, Stderr: &errs,
		PTY: &connector.PTY{Term: "vt220", Size: connector.WindowSize{Columns: 132, Rows: 43}},
	})
	if !s.Target.Terminals {
		var refused *connector.RefusedError
		if !errors.As(err, &refused) || !refused.Terminal || out.Len() > 0 {
			t.Errorf("without terminals: %v, stdout %q", err, &out)
		}
		return
	}
	var exit *connector.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 5 || exit.Unseen() {
		t.Errorf("got %v", err)
	}
	if out.String() != "vt220\r\n43 132\r\nto stderr\r\n" || errs.Len() > 0 {
		t.Errorf("stdout %q, stderr %q", &out, &errs)
	}
}

func (s *suite) needsTerminals(t *testing.T) {
	t.Helper()
	if !s.Target.Terminals {
		t.Skip("the server gives no terminals")
	}
}

func (s *suite) terminalResized(t *testing.T) {
	s.needsTerminals(t)
	sizes := make(chan connector.WindowSize)
	out, in := io.Pipe()
	result := make(chan error, 1)
	go func() {
		err := s.run(t, connector.RunOptions{
			Command: `stty size; while [ "$(stty size)" != "50 100" ]; do sleep 0.05; done; stty size`, Stdout: in, PTY: &connector.PTY{Resize: sizes},
		})
		_ = in.Close()
		result <- err
	}()
	first := make([]byte, len("24 80\r\n"))
	if _, err := io.ReadFull(out, first); err != nil || string(first) != "24 80\r\n" {
		t.Fatalf("the default is %q, %v; %v", first, err, <-result)
	}
	select {
	case sizes <- connector.WindowSize{Columns: 100, Rows: 50}:
	case <-time.After(hang):
		t.Fatal("nobody takes the new size")
	}
	rest, err := io.ReadAll(out)
	if err := errors.Join(err, <-result); err != nil || string(rest) != "50 100\r\n" {
		t.Errorf("%q, %v", rest, err)
	}
}

// terminalEndOfInput: a program that reads its terminal to the end sees the end of Stdin, also in the middle of a line.
func (s *suite) terminalEndOfInput(t *testing.T) {
	s.needsTerminals(t)
	for _, input := range []string{"", "one\n", "one\ntwo"} {
		var out bytes.Buffer
		err := s.run(t, connector.RunOptions{Command: "stty -echo; echo ready; cat", Stdin: strings.NewReader(input), Stdout: &out, PTY: &connector.PTY{}})
		if err != nil || !strings.Contains(out.String(), "ready\r\n") || !strings.Contains(out.String(), strings.ReplaceAll(input, "\n", "\r\n")) {
			t.Errorf("%q: %q, %v", input, &out, err)
		}
	}
}

// terminalCancelled: an interactive shell puts each job into a process group of its own. A cancellation ends them too.
func (s *suite) terminalCancelled(t *testing.T) {
	s.needsTerminals(t)
	pids, err := s.cancelledWith(t, s.dial(t), connector.RunOptions{
		Command: `sh -c 'set -m; sleep 1000 & echo $! $$; sleep 1000; wait'`, PTY: &connector.PTY{},
	})
	wantCancelled(t, err)
	s.wantGone(t, pids)
}
