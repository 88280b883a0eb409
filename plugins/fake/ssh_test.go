package fake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

func session(t *testing.T, c *ssh.Client) *ssh.Session {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStreamsAndExitStatus(t *testing.T) {
	_, _, c := oneInstance(t, `{}`)
	s := session(t, c)
	var stdout, stderr bytes.Buffer
	s.Stdin, s.Stdout, s.Stderr = strings.NewReader("from stdin"), &stdout, &stderr
	err := s.Run("cat; echo err >&2; exit 7")
	var exit *ssh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 7 {
		t.Errorf("Run: %v, want exit status 7", err)
	}
	if stdout.String() != "from stdin" || stderr.String() != "err\n" {
		t.Errorf("stdout %q, stderr %q, want them separate", stdout.String(), stderr.String())
	}
}

func TestLargeOutputIsComplete(t *testing.T) {
	_, _, c := oneInstance(t, `{}`)
	const size = 20 << 20
	if got := run(t, c, "head -c "+strconv.Itoa(size)+" /dev/zero"); len(got) != size {
		t.Errorf("%d bytes of output, want %d", len(got), size)
	}
}

func TestSlowReaderLosesNothing(t *testing.T) {
	t.Parallel()
	_, _, c := oneInstance(t, `{}`)
	s := session(t, c)
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	const size = 3 << 20 // more than the channel's window and the pipe can hold
	if err := s.Start("head -c " + strconv.Itoa(size) + " /dev/zero"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // this is under test: a client that does not read for some time
	if n, err := io.Copy(io.Discard, out); n != size || err != nil {
		t.Errorf("%d bytes, %v, want %d", n, err, size)
	}
	if err := s.Wait(); err != nil {
		t.Error(err)
	}
}

func TestShellReadsCommands(t *testing.T) {
	_, _, c := oneInstance(t, `{}`)
	s := session(t, c)
	var out bytes.Buffer
	s.Stdin, s.Stdout = strings.NewReader("echo one\necho two\nexit 3\n"), &out
	if err := s.Shell(); err != nil {
		t.Fatal(err)
	}
	var exit *ssh.ExitError
	if err := s.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != 3 || out.String() != "one\ntwo\n" {
		t.Errorf("shell: %v, output %q, want status 3 and two lines", err, out.String())
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("TASKSCALER_TEST_SECRET", "must not be inherited")
	g, id, c := oneInstance(t, `{}`)
	s := session(t, c)
	for name, value := range map[string]string{"TASKSCALER_KEY": "job 1", "TASKSCALER_SLOT": "2"} {
		if err := s.Setenv(name, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Setenv(markVariable, "hidden"); err == nil {
		t.Error("the variable that marks the processes of an instance could be changed")
	}
	if err := s.Setenv("BAD=NAME", "x"); err == nil {
		t.Error("a variable's name with an equals sign was accepted")
	}
	out, err := s.Output("env; pwd")
	if err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(g.Dir, id, workFolder)
	for _, want := range []string{"TASKSCALER_KEY=job 1\n", "TASKSCALER_SLOT=2\n", "HOME=" + work + "\n", "\n" + work + "\n",
		"SSH_CONNECTION=127.0.0.1 "} {
		if !strings.Contains("\n"+string(out), want) {
			t.Errorf("no %q in %q", want, out)
		}
	}
	if strings.Contains(string(out), "TASKSCALER_TEST_SECRET") {
		t.Error("a command has the environment of the plugin")
	}
	entries, err := record.ReadFile(filepath.Join(g.Dir, id, recordFile))
	if err != nil {
		t.Fatal(err)
	}
	runs := record.Commands(entries)
	if len(runs) != 1 || runs[0].Key != "job 1" || runs[0].Slot != "2" || runs[0].Command != "env; pwd" || runs[0].End.Before(runs[0].Start) {
		t.Errorf("recorded: %+v", runs)
	}
}

func TestSignals(t *testing.T) {
	g, id, c := oneInstance(t, `{}`)
	for _, sig := range []ssh.Signal{ssh.SIGTERM, ssh.SIGKILL, ssh.SIGUSR1} {
		s := session(t, c)
		out, err := s.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start("echo up; sleep 1000"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		if err := s.Signal(sig); err != nil {
			t.Fatal(err)
		}
		var exit *ssh.ExitError
		if err := s.Wait(); !errors.As(err, &exit) || exit.Signal() != string(sig) {
			t.Errorf("%s: %v, want an exit by that signal", sig, err)
		}
	}
	eventually(t, "the signalled groups to be gone", func() bool { return len(processesOf(g.Dir)) == 1 })
	entries, err := record.ReadFile(filepath.Join(g.Dir, id, recordFile))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range record.Commands(entries) {
		if want := []string{"TERM", "KILL", "USR1"}[i]; c.Signal != want || c.ExitCode != nil {
			t.Errorf("command %d ended with signal %q and code %v, want %q", i, c.Signal, c.ExitCode, want)
		}
	}
	s := session(t, c)
	if err := s.Start("true"); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.SendRequest("signal", true, ssh.Marshal(struct{ Name string }{"NONSENSE"})); ok || err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("an unknown signal: %v, %v, want a refusal", ok, err)
	}
}

// TestGroupEndsWithItsSession: the process group of a command ends when the session ends, when the connection ends, and when a shell leaves
// a process in the background.
func TestGroupEndsWithItsSession(t *testing.T) {
	t.Parallel()
	g, id, _ := oneInstance(t, `{}`)
	for _, tc := range []struct {
		name string
		end  func(c *ssh.Client, s *ssh.Session, out io.Reader)
		line string
	}{
		{"session closed", func(_ *ssh.Client, s *ssh.Session, _ io.Reader) { _ = s.Close() }, "sleep 1000 & echo up; sleep 1000"},
		{"connection closed", func(c *ssh.Client, _ *ssh.Session, _ io.Reader) { _ = c.Close() }, "sleep 1000 & echo up; sleep 1000"},
		{"left in the background", func(_ *ssh.Client, s *ssh.Session, _ io.Reader) { _ = s.Wait() }, "sleep 1000 & echo up"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := dial(t, connectInfo(t, g, id))
			s := session(t, c)
			out, err := s.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Start(tc.line); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
				t.Fatal(err)
			}
			tc.end(c, s, out)
			eventually(t, "the command's group to be gone", func() bool { return len(processesOf(g.Dir)) == 1 })
		})
	}
}

func TestDeletionEndsCommands(t *testing.T) {
	g, id, c := oneInstance(t, `{"delete":{"distribution":"constant","value":"1h"}}`)
	s := session(t, c)
	if err := s.Start("setsid sleep 1000 & sleep 1000"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the commands to run", func() bool { return len(processesOf(g.Dir)) >= 3 })
	if _, err := g.Decrease(t.Context(), []string{id}); err != nil {
		t.Fatal(err)
	}
	if state := list(t, g)[id]; state != "deleting" {
		t.Errorf("state %q, want deleting", state)
	}
	if err := g.Heartbeat(t.Context(), id); err == nil {
		t.Error("the heartbeat of an instance that is being deleted succeeds")
	}
	if err := s.Wait(); err == nil {
		t.Error("a command of a deleted instance exited with 0")
	}
	vanish(t, g)
}

func TestDeletionTakesItsTime(t *testing.T) {
	t.Parallel()
	g, id, c := oneInstance(t, `{"delete":{"distribution":"constant","value":"300ms"}}`)
	if err := session(t, c).Start("setsid sleep 1000 & sleep 1000"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the commands to run", func() bool { return len(processesOf(g.Dir)) >= 3 })
	start := time.Now()
	if _, err := g.Decrease(t.Context(), []string{id}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the instance to be gone", func() bool { return len(list(t, g)) == 0 })
	if took := time.Since(start); took < 300*time.Millisecond { // a lower limit, because a busy machine takes longer
		t.Errorf("gone after %v, want at least the 300ms of the model", took)
	}
	if left := processesOf(g.Dir); len(left) > 0 {
		t.Errorf("processes are left: %q", left)
	}
}

func TestKeepaliveIsAnswered(t *testing.T) {
	_, _, c := oneInstance(t, `{}`)
	if ok, _, err := c.SendRequest("keepalive@openssh.com", true, nil); !ok || err != nil {
		t.Errorf("keepalive: %v, %v", ok, err)
	}
	if ok, _, err := c.SendRequest("tcpip-forward", true, nil); ok || err != nil {
		t.Errorf("an unknown request: %v, %v, want a refusal", ok, err)
	}
}

func TestRefusals(t *testing.T) {
	_, _, c := oneInstance(t, `{}`)
	s := session(t, c)
	if err := s.RequestPty("xterm", 24, 80, nil); err == nil {
		t.Error("a terminal was granted, but there are none")
	}
	if err := s.RequestSubsystem("sftp"); err == nil {
		t.Error("a subsystem was granted, but there are none")
	}
	if got := run(t, c, "echo still here"); got != "still here\n" {
		t.Errorf("after refusals: %q", got)
	}
	if _, _, err := c.OpenChannel("x11", nil); err == nil {
		t.Error("a channel of an unknown type was opened")
	}
}

func TestManySessionsAtOnce(t *testing.T) {
	_, _, c := oneInstance(t, `{}`)
	got := make(chan error)
	for i := range 20 {
		go func() {
			s, err := c.NewSession()
			if err != nil {
				got <- err
				return
			}
			out, err := s.Output(fmt.Sprintf("echo %d", i))
			if want := fmt.Sprintf("%d\n", i); err == nil && string(out) != want {
				err = fmt.Errorf("output %q, want %q", out, want)
			}
			got <- err
		}()
	}
	for range 20 {
		if err := <-got; err != nil {
			t.Error(err)
		}
	}
}

func TestForwarding(t *testing.T) {
	_, _, c := oneInstance(t, `{}`)
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
		t.Run(network, func(t *testing.T) {
			l, err := net.Listen(network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go echoOnce(l)
			conn, err := c.Dial(network, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write([]byte("there and back")); err != nil {
				t.Fatal(err)
			}
			if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(conn); err != nil || string(got) != "there and back" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	if conn, err := c.Dial("unix", filepath.Join(t.TempDir(), "nothing")); err == nil {
		_ = conn.Close()
		t.Error("connected to a socket that does not exist")
	}
}

func echoOnce(l net.Listener) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.Copy(conn, conn)
}

func TestWorkFolderIsPrivate(t *testing.T) {
	g, id, c := oneInstance(t, `{}`)
	run(t, c, "echo data > file")
	if raw, err := os.ReadFile(filepath.Join(g.Dir, id, workFolder, "file")); err != nil || string(raw) != "data\n" {
		t.Errorf("%q, %v", raw, err)
	}
	for path, want := range map[string]os.FileMode{g.Dir: 0o700, filepath.Join(g.Dir, id): 0o700,
		filepath.Join(g.Dir, id, secretFile): 0o600, filepath.Join(g.Dir, id, specFile): 0o600, filepath.Join(g.Dir, id, recordFile): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want mode %v", path, info.Mode(), err, want)
		}
	}
}
