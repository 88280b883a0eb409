package static

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/leakcheck"
	"github.com/taskscaler/taskscaler/internal/sshdtest"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// hang bounds what tests wait for. Only a hang reaches it.
const hang = time.Minute

// greeter is a host that says what an SSH server says first, and nothing else.
func greeter(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("SSH-2.0-greeter\r\n"))
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}

// closed returns an address at which nothing listens.
func closed(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return l.Addr().String()
}

// frozen returns an address at which connections are accepted, and nothing is said.
func frozen(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// open returns a group after its Init.
func open(t testing.TB, g *InstanceGroup) *InstanceGroup {
	t.Helper()
	if g.Dir == "" {
		g.Dir = filepath.Join(t.TempDir(), "state")
	}
	if _, err := g.Init(t.Context(), nil, provider.Settings{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return g
}

// list returns what Update reports.
func list(t testing.TB, g *InstanceGroup) map[string]provider.State {
	t.Helper()
	got := map[string]provider.State{}
	if err := g.Update(t.Context(), func(id string, s provider.State) {
		if _, twice := got[id]; twice {
			t.Errorf("%s is listed twice", id)
		}
		got[id] = s
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

// until waits for a condition.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(hang); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come true that %s", what)
		}
	}
}

// sshd starts OpenSSH's server. It returns a host with its own key and host key.
func sshd(t testing.TB) Host {
	t.Helper()
	s, err := sshdtest.Start(t.TempDir())
	if errors.Is(err, sshdtest.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return Host{InternalAddr: s.Address, Username: s.User, KeyPath: s.KeyFile, HostKeys: []string{s.HostKey}}
}

// hosts returns n hosts that answer.
func hosts(t testing.TB, n int) map[string]Host {
	t.Helper()
	m := map[string]Host{}
	for i := range n {
		m[fmt.Sprint("h", i+1)] = Host{InternalAddr: greeter(t)}
	}
	return m
}
