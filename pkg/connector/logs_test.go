package connector

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// TestLogsNameTheInstanceOnce: every message about an instance has its id, and no key twice; those about the jump host too.
func TestLogsNameTheInstanceOnce(t *testing.T) {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	key := pem.EncodeToMemory(block)
	info := provider.ConnectInfo{ID: "i-1", InternalAddr: "10.0.0.1", ConnectorConfig: provider.ConnectorConfig{Username: "u", Password: "p", Key: key}}
	var text bytes.Buffer
	opts := DialOptions{Insecure: true, Logger: slog.New(slog.NewJSONHandler(&text, nil)), Jump: &JumpHost{
		Address: "bastion", Username: "ops", Key: secret.New(string(key)), HostKeys: []string{string(ssh.MarshalAuthorizedKey(public))},
	}}
	overSSH, err := newSSHDialer(info, opts)
	if err != nil {
		t.Fatal(err)
	}
	overWinRM, err := newWinRMDialer(info, opts, true)
	if err != nil {
		t.Fatal(err)
	}
	logs := []*slog.Logger{overSSH.log, overSSH.jump.hop.log, overWinRM.log, overWinRM.jump.hop.log}
	for _, log := range logs {
		log.Info("it works")
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != len(logs) {
		t.Fatalf("%d messages, want %d", len(lines), len(logs))
	}
	for _, line := range lines {
		if strings.Count(line, `"instance":"i-1"`) != 1 || strings.Count(line, `"address"`) > 1 {
			t.Errorf("%s", line)
		}
	}
	if _, err := newSSHDialer(info, DialOptions{Insecure: true}); err != nil {
		t.Errorf("without a logger: %v", err)
	}
}

// TestTimesInErrorsAreRounded: a time that is left of another one is said as people say it.
func TestTimesInErrorsAreRounded(t *testing.T) {
	err := &ConnectError{Address: "10.0.0.1:22", Attempts: 2, Elapsed: 20*time.Second + 123456789, Last: errors.New("no route"), Cause: &timeoutError{20*time.Second - 40}}
	if want := "no connection within the timeout of 20s (2 attempts in 20.12s)"; !strings.Contains(err.Error(), want) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want %q", err, want)
	}
	if got := (&handshakeTimeoutError{"SSH handshake", 15*time.Second - 1}).Error(); got != "no SSH handshake within 15s" {
		t.Error(got)
	}
}
