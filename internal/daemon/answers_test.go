package daemon

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/secret"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// oneInstance is a group whose only instance runs at once, and again after each delete.
type oneInstance struct {
	mu   sync.Mutex
	runs bool
}

func (g *oneInstance) Init(context.Context, hclog.Logger, provider.Settings) (provider.ProviderInfo, error) {
	return provider.ProviderInfo{ID: "one/1", MaxSize: 1}, nil
}

func (g *oneInstance) Update(_ context.Context, update func(string, provider.State)) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.runs {
		update("i-1", provider.StateRunning)
	}
	return nil
}

func (g *oneInstance) Increase(context.Context, int) (int, error) {
	g.set(true)
	return 1, nil
}

func (g *oneInstance) Decrease(_ context.Context, ids []string) ([]string, error) {
	g.set(false)
	return ids, nil
}

func (g *oneInstance) set(runs bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.runs = runs
}

func (g *oneInstance) ConnectInfo(_ context.Context, id string) (provider.ConnectInfo, error) {
	return provider.ConnectInfo{ID: id, InternalAddr: "192.0.2.1"}, nil
}

func (g *oneInstance) Shutdown(context.Context) error { return nil }

type silent struct{ connector.Client }

func (silent) Close() error { return nil }

// oneManager returns a manager of one instance with two slots. It ends with the test.
func oneManager(ctx context.Context, t *testing.T) *taskscaler.Taskscaler {
	t.Helper()
	dial := func(context.Context, provider.ConnectInfo, connector.DialOptions) (connector.Client, error) {
		return silent{}, nil
	}
	manager, err := taskscaler.New(ctx, &oneInstance{}, taskscaler.Config{
		CapacityPerInstance: 2, MaxInstances: 1, UpdateIntervalWhenExpecting: 10 * time.Millisecond,
	}, taskscaler.WithDialer(dial))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		gone, end := context.WithCancel(context.Background())
		end()
		if err := manager.Shutdown(gone); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return manager
}

// TestReasonOfARelease: what one client says about an instance reaches the other clients on it, with its cause. Their own releases are then
// answered as those of leases that no longer exist.
func TestReasonOfARelease(t *testing.T) {
	for found, want := range map[control.Unhealthy]record.Cause{
		control.UnhealthyUnreachable: record.CauseUnhealthy, control.UnhealthyChangedHostKey: record.CauseChangedHostKey,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // only a hang takes so long
		defer cancel()
		manager := oneManager(ctx, t)
		runner := served{scaler: manager}
		var leases []control.LiveLease
		for _, key := range []string{"one", "two"} {
			lease, err := runner.Acquire(ctx, key)
			if err != nil {
				t.Fatal(err)
			}
			leases = append(leases, lease)
		}
		if err := leases[0].Release(ctx, found, "no route to it"); err != nil {
			t.Error(err)
		}
		<-leases[1].Ended()
		last := leases[1].Last()
		if last.Revoked == nil || last.Revoked.Cause != want.String() || !strings.Contains(last.Revoked.Sentence, "no route to it") {
			t.Errorf("%s: the other lease ended with %+v", found, last)
		}
		if err := leases[1].Release(ctx, "", ""); !errors.Is(err, &control.APIError{Code: control.CodeUnknownKey}) {
			t.Errorf("%s: the release of a revoked lease: %v", found, err)
		}
	}
}

// TestDoubtfulRelease: the other clients on a doubtful instance keep their leases, and it serves nobody else.
func TestDoubtfulRelease(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // only a hang takes so long
	defer cancel()
	manager := oneManager(ctx, t)
	runner := served{scaler: manager}
	one, err := runner.Acquire(ctx, "one")
	if err != nil {
		t.Fatal(err)
	}
	two, err := runner.Acquire(ctx, "two")
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Release(ctx, control.UnhealthyDoubtful, "no answer"); err != nil {
		t.Error(err)
	}
	status, err := manager.Status(ctx)
	if err != nil || len(status.Instances) != 1 || status.Instances[0].Cause != record.CauseDoubtful.String() || len(status.Instances[0].Leases) != 1 {
		t.Errorf("%+v, %v", status.Instances, err)
	}
	if err := two.Release(ctx, "", ""); err != nil {
		t.Error(err)
	}
}

// TestLastEventOfALease: the stream of a lease ends with what ended the lease.
func TestLastEventOfALease(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(ctx context.Context, s served) error
		want func(control.Event) bool
	}{
		"released elsewhere": {
			end:  func(ctx context.Context, s served) error { return s.Release(ctx, "job") },
			want: func(ev control.Event) bool { return ev.Released && ev.Error == nil && ev.Revoked == nil },
		},
		"reattached elsewhere": {
			end: func(ctx context.Context, s served) error { _, err := s.Reattach(ctx, "job"); return err },
			want: func(ev control.Event) bool {
				return !ev.Released && ev.Revoked == nil && ev.Error != nil && ev.Error.Code == control.CodeInternal
			},
		},
		"the manager ends": {
			end: func(ctx context.Context, s served) error {
				gone, cancel := context.WithCancel(ctx)
				cancel()
				return s.scaler.Shutdown(gone)
			},
			want: func(ev control.Event) bool {
				return !ev.Released && ev.Revoked == nil && errors.Is(ev.Error, &control.APIError{Code: control.CodeShutdown})
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // only a hang takes so long
			defer cancel()
			manager := oneManager(ctx, t)
			runner := served{scaler: manager}
			lease, err := runner.Acquire(ctx, "job")
			if err != nil {
				t.Fatal(err)
			}
			if err := tc.end(ctx, runner); err != nil {
				t.Fatal(err)
			}
			<-lease.Ended()
			if last := lease.Last(); !tc.want(last) {
				t.Errorf("the lease ended with %+v", last)
			}
		})
	}
}

// TestRunnersDrainAtTheSameTime: a runner whose job goes on for long does not keep another one from being drained.
func TestRunnersDrainAtTheSameTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // only a hang takes so long
	defer cancel()
	busy, free := oneManager(ctx, t), oneManager(ctx, t)
	lease, err := busy.Acquire(ctx, "job")
	if err != nil {
		t.Fatal(err)
	}
	d := &Daemon{runners: []*runner{{scaler: busy}, {scaler: free}}}
	done := make(chan error, 1)
	go func() { done <- d.each("", func(m *taskscaler.Taskscaler) error { return m.Drain(ctx) }) }()
	for { // Drain returns at once once the runner is drained
		status, err := free.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if status.Draining {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("the free runner takes new jobs until the busy one is drained")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := lease.Release(ctx); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestLeaseSaysHowToConnect: a lease that is granted or taken over carries the settings that its caller needs to connect.
func TestLeaseSaysHowToConnect(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // only a hang takes so long
	defer cancel()
	r := &runner{scaler: oneManager(ctx, t), settings: secret.Hide(taskscaler.Config{UseExternalAddr: true, AllowLegacySSH: true, AllowDHGroupExchange: true,
		Jump:  &connector.JumpHost{Address: "bastion:22", Username: "ops", Key: secret.New("k"), HostKeys: []string{"h"}},
		WinRM: connector.WinRMOptions{Shell: connector.WinRMPowerShell, Auth: connector.WinRMBasic, CA: []byte("ca"), Insecure: true}})}
	if holders := map[control.Runner]bool{r.served(): true}; !holders[r.served()] {
		t.Error("a runner is not the same as itself")
	}
	granted, err := r.served().Acquire(ctx, "key")
	if err != nil {
		t.Fatal(err)
	}
	r.served().Detach("key")
	taken, err := r.served().Reattach(ctx, "key")
	if err != nil {
		t.Fatal(err)
	}
	for _, lease := range []control.Lease{granted.Lease(), taken.Lease()} {
		want := control.WinRM{Shell: "powershell", Auth: "basic", CA: []byte("ca"), Insecure: true}
		if !lease.UseExternalAddr || !lease.AllowLegacySSH || !lease.AllowDHGroupExchange || !reflect.DeepEqual(lease.WinRM, &want) ||
			!reflect.DeepEqual(lease.Jump, &control.JumpHost{Address: "bastion:22", Username: "ops", Key: secret.New("k"), HostKeys: []string{"h"}}) {
			t.Errorf("%+v", lease)
		}
	}
}
