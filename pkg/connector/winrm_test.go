package connector_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/connector/connectortest"
)

func TestWinRMConformance(t *testing.T) {
	t.Run("http, NTLM, sealed", func(t *testing.T) {
		s := startWinRM(t, "--sealed-only")
		connectortest.Run(t, connectortest.Target{Info: s.info, Options: quick(connector.DialOptions{}), WinRM: true, PlainCopies: true, AcceptsEnv: "TASKSCALER_ANY"})
	})
	t.Run("https, Basic", func(t *testing.T) {
		s := startWinRMS(t, "--auth", "basic", "--login", "ci:"+winrmPassword)
		s.info.Username, s.info.HostKeys = "ci", []string{s.pin()}
		connectortest.Run(t, connectortest.Target{Info: s.info, Options: quick(connector.DialOptions{}), WinRM: true, PlainCopies: true, AcceptsEnv: "TASKSCALER_ANY"})
	})
}

// TestWinRMServer: another client agrees with the server of these tests.
func TestWinRMServer(t *testing.T) {
	pythonHas(t, "winrm, requests_ntlm", "python3-winrm")
	s := startWinRM(t, "--auth", "ntlm,basic", "--login", "ci:of-ci")
	url := fmt.Sprintf("http://127.0.0.1:%d/wsman", s.info.ProtocolPort)
	// This client takes MD4, which NTLM needs, from OpenSSL, which has it only on request.
	legacy := write(t, filepath.Join(t.TempDir(), "openssl.cnf"),
		[]byte("openssl_conf = a\n[a]\nproviders = b\n[b]\ndefault = c\nlegacy = c\n[c]\nactivate = 1\n"))
	for transport, args := range map[string][]string{"ntlm": {"always", winrmUser, winrmPassword}, "basic": {"never", "ci", "of-ci"}} {
		cmd := exec.Command(python, "testdata/winrm/client.py", url, transport, args[0], args[1], args[2])
		cmd.Env = append(os.Environ(), "OPENSSL_CONF="+legacy, "PYTHONUTF8=1")
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != "ok\n" {
			t.Errorf("%s: %v\n%s", transport, err, out)
		}
	}
}

// TestWinRMManyAtOnce: commands that read and write at the same time, on one client, never disturb each other's encryption.
func TestWinRMManyAtOnce(t *testing.T) {
	s := startWinRM(t, "--sealed-only")
	c := dial(t, s.info, connector.DialOptions{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			in := bytes.Repeat([]byte{byte('a' + i)}, 300<<10)
			var out bytes.Buffer
			err := c.Run(t.Context(), connector.RunOptions{Command: "cat", Stdin: io.MultiReader(bytes.NewReader(in[:1]), bytes.NewReader(in[1:])), Stdout: &out})
			if err != nil || !bytes.Equal(out.Bytes(), in) {
				t.Errorf("%d: %d bytes came back, %v", i, out.Len(), err)
			}
		})
	}
	wg.Wait()
}

// TestWinRMOutputOfAnySize: much output arrives whole, although no answer is large, and a caller that reads slowly slows the command down.
func TestWinRMOutputOfAnySize(t *testing.T) {
	s := startWinRM(t)
	c := dial(t, s.info, connector.DialOptions{})
	const size = 12 << 20
	h, n := sha256.New(), 0
	err := c.Run(t.Context(), connector.RunOptions{Command: fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x", size), Stdout: writerFunc(func(p []byte) (int, error) {
		n += len(p)
		return h.Write(p)
	})})
	want := sha256.Sum256(bytes.Repeat([]byte("x"), size))
	if err != nil || n != size || !bytes.Equal(h.Sum(nil), want[:]) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestWinRMQuietCommand: a command that says nothing for longer than the server waits for output is waited for.
func TestWinRMQuietCommand(t *testing.T) {
	s := startWinRM(t)
	s.info.Keepalive = 2 * time.Second // a busy machine must answer within three times that
	var out strings.Builder
	wait := 2 * s.info.Keepalive
	err := dial(t, s.info, connector.DialOptions{}).Run(t.Context(), connector.RunOptions{Command: fmt.Sprintf("sleep %.1f; echo late", wait.Seconds()), Stdout: &out})
	if err != nil || out.String() != "late\n" {
		t.Errorf("%q, %v", &out, err)
	}
}

// TestWinRMShellsAreDeleted: the server allows one shell, so each command, also a cancelled one and one of DialRun, must give its shell back.
func TestWinRMShellsAreDeleted(t *testing.T) {
	s := startWinRM(t, "--max-shells", "1")
	c := dial(t, s.info, connector.DialOptions{})
	for i := range 3 {
		var exit *connector.ExitError
		if err := c.Run(t.Context(), connector.RunOptions{Command: "exit 3"}); !errors.As(err, &exit) || exit.ExitCode() != 3 {
			t.Fatalf("command %d: %v", i, err)
		}
	}
	wantEnded(t, c)
	conn, err := c.DialRun(t.Context(), "echo there; exec sleep 150")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, len("there\n"))); err != nil {
		t.Fatal(err)
	}
	var refused *connector.RefusedError
	if err := c.Run(t.Context(), connector.RunOptions{Command: "exit 0"}); !errors.As(err, &refused) || !strings.Contains(err.Error(), "concurrent shells") {
		t.Errorf("a second shell: %v", err)
	}
	_ = conn.Close()
	if _, err := io.Copy(io.Discard, conn); err == nil {
		t.Error("a closed connection can be read")
	}
	for deadline := time.Now().Add(hang); ; { // Close does not wait for the end of the command
		err := c.Run(t.Context(), connector.RunOptions{Command: "exit 0"})
		if err == nil {
			break
		}
		if !errors.As(err, &refused) || time.Now().After(deadline) {
			t.Fatalf("after the end of DialRun: %v", err)
		}
	}
}

// wantEnded cancels a command and checks that its end was observed.
func wantEnded(t *testing.T, c connector.Client) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	result := running(t, ctx, c)
	cancel()
	var cancelled *connector.CancelError
	if err := await(t, result); !errors.As(err, &cancelled) || !cancelled.Ended || !cancelled.Sent || connector.FindingOf(err) != connector.FindingNone {
		t.Errorf("a cancelled command: %v", err)
	}
}

// TestWinRMTunnels: there are none, and the error says what to use instead.
func TestWinRMTunnels(t *testing.T) {
	s := startWinRM(t)
	_, err := dial(t, s.info, connector.DialOptions{}).Dial(t.Context(), "unix", "/var/run/docker.sock")
	var none *connector.NoTunnelError
	if !errors.As(err, &none) || !strings.Contains(err.Error(), "DialRun") || connector.FindingOf(err) != connector.FindingNone {
		t.Errorf("got %v", err)
	}
}
