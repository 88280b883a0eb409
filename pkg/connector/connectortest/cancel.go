package connectortest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

var errEnough = errors.New("enough of it")

func (s *suite) cancelBeforeStart(t *testing.T) {
	c := s.dial(t)
	ctx, cancel := context.WithCancelCause(s.context(t))
	cancel(errEnough)
	if err := c.Run(ctx, connector.RunOptions{Command: "true"}); !errors.Is(err, errEnough) {
		t.Errorf("got %v", err)
	}
}

// cancelled starts command, waits for its first line, cancels it, and returns the line and the error of Run.
func (s *suite) cancelled(t *testing.T, c connector.Client, command string) (string, error) {
	t.Helper()
	return s.cancelledWith(t, c, connector.RunOptions{Command: command})
}

func (s *suite) cancelledWith(t *testing.T, c connector.Client, opts connector.RunOptions) (string, error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(s.context(t))
	defer cancel(nil)
	out, in := io.Pipe()
	result := make(chan error, 1)
	go func() {
		opts.Stdout = in
		err := c.Run(ctx, opts)
		_ = in.Close()
		result <- err
	}()
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("the command printed nothing: %v, %v", err, <-result)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	cancel(errEnough)
	select {
	case err := <-result:
		return strings.TrimSpace(line), err
	case <-time.After(hang):
		t.Fatal("Run did not return after its cancellation")
		return "", nil
	}
}

// wantCancelled checks what Run returned.
func wantCancelled(t *testing.T, err error) {
	t.Helper()
	var cancelled *connector.CancelError
	if !errors.Is(err, errEnough) || !errors.As(err, &cancelled) || !cancelled.Ended {
		t.Errorf("got %#v: %v", err, err)
	}
}

// wantGone checks on the machine that no process with these ids is left. Run has observed their end, so it waits only until their new parent
// has reaped them. The first process of some containers never does.
func (s *suite) wantGone(t *testing.T, pids string) {
	t.Helper()
	command := fmt.Sprintf(`n=0; for p in %s; do while kill -0 $p 2>/dev/null && ! grep -q ") Z" /proc/$p/stat 2>/dev/null; do `+
		`n=$((n+1)); [ $n -lt 2400 ] || exit 1; sleep 0.05; done; done`, pids)
	if err := s.run(t, connector.RunOptions{Command: command}); err != nil {
		t.Errorf("processes %s are left: %v", pids, err)
	}
}

func (s *suite) cancelEndsTree(t *testing.T) {
	pids, err := s.cancelled(t, s.dial(t), `sh -c 'sleep 1000 & echo $! $$; sleep 1000; wait'`)
	wantCancelled(t, err)
	s.wantGone(t, pids)
}

// cancelEndsTheStubborn: TERM ends only the first process of the group. The others ignore it and outlive their parents.
func (s *suite) cancelEndsTheStubborn(t *testing.T) {
	pids, err := s.cancelled(t, s.dial(t), `sh -c 'trap "" TERM; sleep 1000 & a=$!; sh -c "sleep 1000 & echo $a \$! \$\$; wait"; wait'; exit 0`)
	wantCancelled(t, err)
	s.wantGone(t, pids)
}

func (s *suite) cancelSparesOthers(t *testing.T) {
	if s.Target.SingleSession {
		t.Skip("the server runs only one command per connection")
	}
	c := s.dial(t)
	hold, release := io.Pipe()
	other := make(chan error, 1)
	told, tell := io.Pipe()
	go func() {
		other <- c.Run(s.context(t), connector.RunOptions{Command: "echo there; read x; exit 5", Stdin: hold, Stdout: tell})
	}()
	if _, err := bufio.NewReader(told).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_, err := s.cancelled(t, c, "echo there; sleep 1000; true")
	wantCancelled(t, err)
	_, _ = release.Write([]byte("go\n"))
	_ = release.Close()
	var exit *connector.ExitError
	if err := <-other; !errors.As(err, &exit) || exit.ExitCode() != 5 {
		t.Errorf("the other command on the connection: %v", err)
	}
}

// cancelIsGentle: a command that handles TERM gets it once, and has time to finish.
func (s *suite) cancelIsGentle(t *testing.T) {
	if s.Target.WinRM {
		t.Skip("WinRM has no TERM")
	}
	if s.Target.KillsGroups {
		t.Skip("the server kills what is left of a command when its shell ends")
	}
	for began := time.Now(); ; {
		// On a busy machine the command may not be through with it before KILL comes. Then there is another.
		if left := s.gently(t); left == "caught\ncleaned\n" {
			return
		} else if left != "caught\n" && left != "" || time.Since(began) > hang {
			t.Fatalf("it left %q", left)
		}
	}
}

// gently cancels a command that handles TERM, and returns what it left.
func (s *suite) gently(t *testing.T) string {
	t.Helper()
	file := "/tmp/connectortest." + fmt.Sprint(time.Now().UnixNano())
	defer func() { _ = s.run(t, connector.RunOptions{Command: "rm -f " + file}) }()
	_, err := s.cancelled(t, s.dial(t), fmt.Sprintf(
		`sh -c 'trap "echo caught >>%s; n=1" TERM; n=0; echo ready; while [ $n = 0 ]; do sleep 0.05; done; sleep 0.3; echo cleaned >>%s'`, file, file))
	wantCancelled(t, err)
	var out strings.Builder
	if err := s.run(t, connector.RunOptions{Command: "touch " + file + "; cat " + file, Stdout: &out}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func (s *suite) closeWhileRunning(t *testing.T) {
	c, err := connector.Dial(s.context(t), s.Target.Info, s.Target.Options)
	if err != nil {
		t.Fatal(err)
	}
	out, in := io.Pipe()
	result := make(chan error, 1)
	go func() {
		result <- c.Run(s.context(t), connector.RunOptions{Command: "echo $$; exec sleep 150", Stdout: in})
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	var lost *connector.LostError
	if err := <-result; !errors.As(err, &lost) || !lost.Started || !errors.Is(err, connector.ErrClosed) {
		t.Errorf("got %v", err)
	}
	_ = s.run(t, connector.RunOptions{Command: "kill " + line})
	if err := c.Run(s.context(t), connector.RunOptions{Command: "true"}); !errors.As(err, &lost) || lost.Started {
		t.Errorf("after Close: %v", err)
	}
}
