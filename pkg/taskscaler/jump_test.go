package taskscaler

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// jumpNet is a network behind a jump host that fails until a time.
type jumpNet struct {
	testNet
	open  time.Time
	final bool // the failure does not pass while a Dial waits: a key that is refused
}

var errJump = &connector.JumpError{Address: "bastion:22", Err: errors.New("it is away")}

func (n *jumpNet) dial(ctx context.Context, info provider.ConnectInfo, opts connector.DialOptions) (connector.Client, error) {
	for end := time.Now().Add(info.Timeout); time.Now().Before(n.open); time.Sleep(time.Second) {
		if n.final || time.Now().After(end) || ctx.Err() != nil {
			return nil, &connector.ConnectError{Address: "10.0.0.1:22", Last: errJump}
		}
		if opts.OnRetry != nil {
			opts.OnRetry(errJump)
		}
	}
	return n.testNet.dial(ctx, info, opts)
}

// TestJumpHostFails: while the jump host fails, instances wait: none is retired, no boot counts as failed, and the group does not grow. The status and the log name
// the jump host once, and not each instance. When it works, the jobs are served.
func TestJumpHostFails(t *testing.T) {
	for name, final := range map[string]bool{"away": false, "it refuses the key": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := &jumpNet{open: time.Now().Add(3 * time.Hour), final: final}
				f := start(t, WithDialer(n.dial), withConfig(func(c *Config) {
					c.CapacityPerInstance, c.MaxInstances, c.PreparingDeadline = 1, 20, 3*time.Minute
				}))
				defer f.end()
				served := make(chan error, 4)
				for _, key := range []string{"a", "b", "c", "d"} {
					go func() {
						ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
						defer cancel()
						_, err := f.Acquire(ctx, key)
						served <- err
					}()
				}
				time.Sleep(2 * time.Hour)
				s := f.failingCall(jumping)
				if s.Instance != "" || s.Failures < 50 || !strings.Contains(s.Error, "the jump host bastion:22 failed: it is away") || len(f.status().Failing) != 1 {
					t.Errorf("the status says %+v", f.status().Failing)
				}
				if s := f.status(); s.Breaker != nil || len(s.Instances) != 5 { // one is to be idle
					t.Errorf("breaker %+v, %d instances", s.Breaker, len(s.Instances))
				}
				if lines := strings.Count(f.log.String(), "jump host fails, and is tried again"); lines < 1 || lines > 6 {
					t.Errorf("the log has it %d times", lines)
				}
				if strings.Contains(f.log.String(), `instance=""`) {
					t.Error("the log names an instance without an id")
				}
				for range 4 {
					if err := <-served; err != nil {
						t.Error(err)
					}
				}
				if waited := time.Since(n.open); waited > 2*time.Minute {
					t.Errorf("served %s after the jump host worked", waited)
				}
				if retired, failed := f.facts.of(scaler.FactRetire), f.facts.of(scaler.FactFruitless); len(retired)+len(failed) > 0 {
					t.Errorf("retired %+v, failed boots %+v", retired, failed)
				}
				if len(f.status().Failing) > 0 {
					t.Errorf("afterwards: %+v", f.status().Failing)
				}
			})
		})
	}
}

// TestJumpHostFailsForALease: a caller that dials waits for the jump host, and a lease that is released after its failure does not condemn the instance.
func TestJumpHostFailsForALease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := &jumpNet{}
		f := start(t, WithDialer(n.dial))
		defer f.end()
		l := f.acquire("a")
		n.open = time.Now().Add(3 * time.Minute)
		client, err := l.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = client.Close()
		n.open, n.final = time.Now().Add(time.Hour), true
		_, err = l.Dial(t.Context())
		if !ofTheWay(err) {
			t.Errorf("got %v", err)
		}
		if err := l.ReleaseAfter(t.Context(), err); err != nil {
			t.Error(err)
		}
		if retired := f.facts.of(scaler.FactRetire); len(retired) > 0 {
			t.Errorf("retired %+v", retired)
		}
	})
}

// TestJumpHostIsChecked: a jump host that cannot work is refused at the start.
func TestJumpHostIsChecked(t *testing.T) {
	c := Config{CapacityPerInstance: 1, Jump: &connector.JumpHost{Address: "bastion:22", Username: "ops"}}
	if err := c.Validate(); !ofTheWay(err) || !strings.Contains(err.Error(), "its host key is not known") {
		t.Errorf("got %v", err)
	}
}

// TestJumpHostIsLostUnderTheReadyCommand: the ready command, or the function of the embedder, did not fail because of the instance.
func TestJumpHostIsLostUnderTheReadyCommand(t *testing.T) {
	lost := &connector.LostError{Started: true, Sent: true, Err: errJump}
	if err := readyFailure(lost); provider.KindOf(err) != provider.KindTransient || !ofTheWay(err) {
		t.Errorf("ready function: %v", err)
	}
	if err := readyFailure(errors.New("it is broken")); provider.KindOf(err) != provider.KindUnhealthy {
		t.Errorf("ready function: %v", err)
	}
	if err := reachFailure(&connector.ConnectError{Last: &connector.JumpError{Err: &connector.HostKeyError{}}}); provider.KindOf(err) != provider.KindTransient {
		t.Errorf("a changed host key of the jump host: %v", err)
	}
}

// TestCertificatesAreChecked: what is no certificate is refused before any instance is created.
func TestCertificatesAreChecked(t *testing.T) {
	c := Config{CapacityPerInstance: 1, WinRM: connector.WinRMOptions{CA: []byte("garbage")}}
	var setting *connector.SettingError
	if err := c.Validate(); !errors.As(err, &setting) || !strings.Contains(err.Error(), "WinRM.CA") {
		t.Errorf("got %v", err)
	}
}

// TestLoggerOfConnections: the connector names the instance in its messages, so its logger does not name it a second time.
func TestLoggerOfConnections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := &testNet{}
		f := start(t, WithDialer(func(ctx context.Context, info provider.ConnectInfo, opts connector.DialOptions) (connector.Client, error) {
			opts.Logger.Info("dialled", "instance", info.ID)
			return n.dial(ctx, info, opts)
		}))
		defer f.end()
		f.acquire("a")
		for line := range strings.Lines(f.log.String()) {
			if n := strings.Count(line, "instance="); n > 1 {
				t.Errorf("%d times in %s", n, line)
			}
		}
		if !strings.Contains(f.log.String(), "dialled") {
			t.Error("nothing was dialled")
		}
	})
}
