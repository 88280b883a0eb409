package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// instanceAt is an SSH server that does what session says with each channel. It returns how to reach it.
func instanceAt(t *testing.T, session func(ssh.NewChannel)) provider.ConnectInfo {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{
		PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, nil },
		BannerCallback:   func(ssh.ConnMetadata) string { return long },
		ServerVersion:    "SSH-2.0-evil \\x1b[2J",
	}
	config.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				_, channels, requests, err := ssh.NewServerConn(conn, config)
				if err != nil {
					return
				}
				work.Go(func() { ssh.DiscardRequests(requests) })
				for c := range channels {
					work.Go(func() { session(c) })
				}
			})
		}
	})
	t.Cleanup(func() { end(); _ = l.Close(); work.Wait() })
	known := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) + " evil\x1b[2J\u009b\u202e"
	return provider.ConnectInfo{InternalAddr: l.Addr().String(), HostKeys: []string{known}}
}

// runs is a session that runs its command. A job then ends with a signal of this name.
func runs(signal string) func(ssh.NewChannel) {
	return func(c ssh.NewChannel) {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		defer func() { _ = channel.Close() }()
		for r := range requests {
			_ = r.Reply(true, nil)
			var p struct{ Command string }
			if r.Type != "exec" || ssh.Unmarshal(r.Payload, &p) != nil {
				continue
			}
			cmd := exec.Command("sh", "-c", p.Command)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = channel, channel, channel.Stderr()
			cmd.WaitDelay = 200 * time.Millisecond // the client leaves its input open
			_ = cmd.Run()
			if strings.Contains(p.Command, "FORGED") {
				_, _ = channel.SendRequest("exit-signal", false, ssh.Marshal(struct {
					Signal        string
					Core          bool
					Message, Lang string
				}{signal, true, long, long}))
			} else {
				_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(max(cmd.ProcessState.ExitCode(), 0))}))
			}
			return
		}
	}
}

// at is an instance at an address, where there may be none. Its host key is that of known.
func at(address string, known provider.ConnectInfo) provider.ConnectInfo {
	known.InternalAddr = address
	return known
}

// babblerAt writes text to each connection and ends it. It returns its address.
func babblerAt(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

// leased answers a lease stream: these events, and the lease of an instance, if it has an address.
func leased(info provider.ConnectInfo, before, after []control.Event) http.HandlerFunc {
	info.ID, info.Protocol, info.Username, info.Password = long, provider.ProtocolSSH, "ci", "x"
	info.Timeout = time.Second
	released := make(chan struct{}, 9)
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/leases" {
			_, _ = io.WriteString(w, "{}\n")
			released <- struct{}{}
			return
		}
		events := append([]control.Event{}, before...)
		if info.InternalAddr != "" {
			events = append(events, control.Event{Lease: &control.Lease{Key: inName, Instance: strings.ReplaceAll(long, "\x00", ""), Connect: &info}})
		}
		out := json.NewEncoder(w)
		for _, ev := range append(events, after...) {
			_ = out.Encode(ev)
		}
		_ = http.NewResponseController(w).Flush()
		if info.InternalAddr != "" && after == nil {
			select {
			case <-released:
				_ = out.Encode(control.Event{Released: true})
			case <-r.Context().Done():
			}
		}
	}
}

// TestHostileExec: what the manager and the instance say while a job waits, runs and fails. The output of the job is its own.
func TestHostileExec(t *testing.T) {
	waits := []control.Event{{Wait: &control.Wait{Position: 1, Cause: hostile, Sentence: long}}, {Wait: &control.Wait{Position: 2, Cause: "boot", Sentence: hostile}}}
	refuses := func(c ssh.NewChannel) { _ = c.Reject(ssh.RejectionReason(77), long) }
	good := instanceAt(t, runs("KILL"))
	none := provider.ConnectInfo{}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		output bool // the command ran
	}{
		"a signal":               {leased(instanceAt(t, runs(long)), waits, nil), true},
		"a session is refused":   {leased(instanceAt(t, refuses), waits, nil), false},
		"an address":             {leased(at("evil"+hostile, good), waits, nil), false},
		"no SSH":                 {leased(at(babblerAt(t, strings.Repeat(broken+"\n", 9)+"SSH-2.0-"+broken+"\r\n"), good), waits, nil), false},
		"an error after a wait":  {leased(none, waits, []control.Event{{Error: &control.APIError{Code: hostile, Message: long}}}), false},
		"revoked":                {leased(none, waits, []control.Event{{Revoked: &control.Revoked{Instance: long, Cause: hostile, Sentence: long}}}), false},
		"revoked after a lease":  {leased(at("127.0.0.1:1", good), waits, []control.Event{{Revoked: &control.Revoked{Instance: long, Cause: hostile, Sentence: long}}}), false},
		"released, for no cause": {leased(none, waits, []control.Event{{Released: true}}), false},
	} {
		timeout := "1m"
		if name == "no SSH" { // it is tried for longer
			timeout = "1s"
		}
		code, stdout, stderr := invoke(t, nil, "exec", "--socket", daemonAt(t, c.answer), "--timeout", timeout, "--key", "k", "--", "sh", "-c", `printf %s "$1"; printf %s "$1" >&2`, "sh", inName)
		if code == 0 {
			t.Errorf("%s: it succeeds", name)
		}
		if c.output {
			if stdout != inName || !strings.Contains(stderr, inName) {
				t.Errorf("%s: the output of the job is %q and %.300q", name, stdout, stderr)
			}
			stdout, stderr = "", strings.ReplaceAll(stderr, inName, "")
		}
		shown(t, name, stdout, stderr)
	}
}
