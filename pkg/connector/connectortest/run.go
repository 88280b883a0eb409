package connectortest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

func (s *suite) exitStatus(t *testing.T) {
	if err := s.run(t, connector.RunOptions{Command: "true"}); err != nil {
		t.Errorf("true: %v", err)
	}
	for _, code := range []int{1, 7, 127, 255} {
		err := s.run(t, connector.RunOptions{Command: fmt.Sprintf("exit %d", code)})
		var exit *connector.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != code || exit.Signal() != "" {
			t.Errorf("exit %d: got %v", code, err)
		}
	}
}

func (s *suite) streams(t *testing.T) {
	var out, errs bytes.Buffer
	err := s.run(t, connector.RunOptions{Command: "echo out; echo err >&2; printf tail; printf end >&2", Stdout: &out, Stderr: &errs})
	if err != nil || out.String() != "out\ntail" || errs.String() != "err\nend" {
		t.Errorf("stdout %q, stderr %q, error %v", &out, &errs, err)
	}
}

// commandIsNotChanged checks that the part before the command does not change its meaning.
func (s *suite) commandIsNotChanged(t *testing.T) {
	for command, want := range map[string]string{
		`echo 'it'"'"'s' "a  b" \\ '$HOME' | tr a-z A-Z`: "IT'S A  B \\ $HOME\n",
		"cat <<'E'\none\n\\two\nE\necho three":           "one\n\\two\nthree\n",
		"# only a comment\necho x":                       "x\n",
		"false\necho $?":                                 "1\n",
		"echo $?":                                        "0\n",
		"f() { echo \"$# $1\"; }; f 'a b' c":             "2 a b\n",
	} {
		if s.Target.WinRM && strings.Contains(command, "\n") {
			continue
		}
		var out, errs bytes.Buffer
		err := s.run(t, connector.RunOptions{Command: command, Stdout: &out, Stderr: &errs})
		if err != nil || out.String() != want || errs.Len() > 0 {
			t.Errorf("%q: stdout %q, want %q; stderr %q, error %v", command, &out, want, &errs, err)
		}
	}
}

func (s *suite) unwrapped(t *testing.T) {
	var out, errs bytes.Buffer
	err := s.run(t, connector.RunOptions{Command: "echo out; echo err >&2; exit 3", Stdout: &out, Stderr: &errs, Unwrapped: true})
	var exit *connector.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || out.String() != "out\n" || errs.String() != "err\n" {
		t.Errorf("stdout %q, stderr %q, error %v", &out, &errs, err)
	}
}

// commandTooLong checks that a command line that no server takes is refused before it is sent: it must not end the other commands of the
// connection.
func (s *suite) commandTooLong(t *testing.T) {
	ctx, c := s.context(t), s.dial(t)
	goesOn, err := c.DialRun(ctx, "cat")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = goesOn.Close() }()
	long := "true " + strings.Repeat("x", 250_000)
	var tooLong *connector.CommandTooLongError
	if err := c.Run(ctx, connector.RunOptions{Command: long}); !errors.As(err, &tooLong) || tooLong.Bytes < len(long) || tooLong.Limit >= len(long) {
		t.Errorf("Run: %v", err)
	}
	if _, err := c.DialRun(ctx, long); !errors.As(err, &tooLong) {
		t.Errorf("DialRun: %v", err)
	}
	// What the connector adds counts too.
	edge := "true " + strings.Repeat("x", tooLong.Limit-len("true "))
	if err := c.Run(ctx, connector.RunOptions{Command: edge}); err != nil && !errors.As(err, &tooLong) {
		t.Errorf("Run of a command at the limit: %v", err)
	}
	answer := make([]byte, 2)
	if _, err := io.WriteString(goesOn, "ok"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(goesOn, answer); err != nil || string(answer) != "ok" {
		t.Errorf("another command of the connection says %q: %v", answer, err)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

func (s *suite) stdinIsStreamed(t *testing.T) {
	in := noise(3 << 20)
	var out bytes.Buffer
	if err := s.run(t, connector.RunOptions{Command: "cat", Stdin: bytes.NewReader(in), Stdout: &out}); err != nil || !bytes.Equal(out.Bytes(), in) {
		t.Errorf("cat of %d bytes returned %d, error %v", len(in), out.Len(), err)
	}
	out.Reset()
	if err := s.run(t, connector.RunOptions{Command: "wc -c", Stdout: &out}); err != nil || strings.TrimSpace(out.String()) != "0" {
		t.Errorf("no stdin: wc -c says %q, error %v", &out, err)
	}
	if s.Target.DiesOfUnreadStdin {
		return
	}
	if err := s.run(t, connector.RunOptions{Command: "exit 0", Stdin: bytes.NewReader(in)}); err != nil {
		t.Errorf("unread stdin: %v", err)
	}
}

func (s *suite) blockedStdin(t *testing.T) {
	r, w := io.Pipe()
	defer func() { _ = w.Close() }()
	var out bytes.Buffer
	if err := s.run(t, connector.RunOptions{Command: "echo done", Stdin: r, Stdout: &out}); err != nil || out.String() != "done\n" {
		t.Errorf("stdout %q, error %v", &out, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

func (s *suite) failingStdin(t *testing.T) {
	broken := errors.New("the disk is gone")
	var out bytes.Buffer
	err := s.run(t, connector.RunOptions{
		Command: "cat; echo complete", Stdin: io.MultiReader(strings.NewReader("half"), failing{broken}), Stdout: &out,
	})
	if !errors.Is(err, broken) || strings.Contains(out.String(), "complete") {
		t.Errorf("stdout %q, error %v", &out, err)
	}
}

func (s *suite) failingStdout(t *testing.T) {
	broken := errors.New("the disk is full")
	if err := s.run(t, connector.RunOptions{Command: "yes", Stdout: failing{broken}}); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func (s *suite) bigOutput(t *testing.T) {
	const command = `i=0; while [ $i -lt 2000 ]; do echo "line $i on stdout"; echo "line $i on stderr" >&2; i=$((i+1)); done`
	var out, errs bytes.Buffer
	if err := s.run(t, connector.RunOptions{Command: command, Stdout: &out, Stderr: &errs}); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*bytes.Buffer{"stdout": &out, "stderr": &errs} {
		h := sha256.New()
		for i := range 2000 {
			_, _ = fmt.Fprintf(h, "line %d on %s\n", i, name)
		}
		if got := sha256.Sum256(b.Bytes()); !bytes.Equal(got[:], h.Sum(nil)) {
			t.Errorf("%s is not what was written: %d bytes", name, b.Len())
		}
	}
}

func (s *suite) killedCommand(t *testing.T) {
	// Some servers report the signal, some only the shell's exit code. Both count as 128 + n.
	err := s.run(t, connector.RunOptions{Command: "kill -KILL $$"})
	var exit *connector.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 137 {
		t.Errorf("got %v", err)
	}
}

func (s *suite) env(t *testing.T) {
	name := s.Target.AcceptsEnv
	if name == "" {
		name = "TASKSCALER_TEST" // refused: no error
	}
	const value = "a 'b' \"c\" $d\n\\e"
	var out bytes.Buffer
	env := map[string]string{name: value, "TASKSCALER_REFUSED": "x"}
	err := s.run(t, connector.RunOptions{Command: `printf %s "$` + name + `"`, Env: env, Stdout: &out})
	want := ""
	if s.Target.AcceptsEnv != "" {
		want = value
	}
	if err != nil || out.String() != want {
		t.Errorf("%s is %q, want %q; error %v", name, &out, want, err)
	}
}

func (s *suite) sessions(t *testing.T) {
	if s.Target.SingleSession {
		t.Skip("the server runs only one command per connection")
	}
	c, ctx := s.dial(t), s.context(t)
	// Each command waits for the output of the other, so they must run at the same time.
	a, b := c, c
	toA, fromB := io.Pipe()
	toB, fromA := io.Pipe()
	var wg sync.WaitGroup
	const talk = `echo hello; read x; [ "$x" = hello ] || exit 1`
	for _, side := range []struct {
		c   connector.Client
		in  io.Reader
		out io.Writer
	}{{a, toA, fromA}, {b, toB, fromB}} {
		wg.Go(func() {
			if err := side.c.Run(ctx, connector.RunOptions{Command: talk, Stdin: side.in, Stdout: side.out}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_, _ = fromA.Close(), fromB.Close()
	for i := range 5 {
		var out bytes.Buffer
		if err := c.Run(ctx, connector.RunOptions{Command: fmt.Sprint("echo ", i), Stdout: &out}); err != nil || out.String() != fmt.Sprintln(i) {
			t.Errorf("command %d on a kept connection: %q, %v", i, &out, err)
		}
	}
}
