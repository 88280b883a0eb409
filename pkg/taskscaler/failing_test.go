package taskscaler

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// failingCall returns what the status says about a call that fails.
func (f *fixture) failingCall(call string) FailingStatus {
	f.t.Helper()
	for _, s := range f.status().Failing {
		if s.Call == call {
			return s
		}
	}
	return FailingStatus{}
}

// TestFailingCallsAreTold: a call that fails is in the status, in the failure's own words, since when and how often, and in the log by count. When
// it works again, the status has nothing.
func TestFailingCallsAreTold(t *testing.T) {
	const words = "the account is locked"
	broken := errors.New(words)
	for name, tc := range map[string]struct {
		begin func(f *fixture)
		end   func(f *fixture)
		log   int // most lines with the words
	}{
		"Decrease": {func(f *fixture) {
			f.group.onDecrease = func(context.Context, []string) ([]string, error) { return nil, broken }
		}, func(f *fixture) { f.group.onDecrease = nil }, 4},
		"Heartbeat": {func(f *fixture) { f.group.onHeartbeat = func(context.Context, string) error { return broken } },
			func(f *fixture) { f.group.onHeartbeat = func(context.Context, string) error { return nil } }, 4},
		"Increase": {func(f *fixture) {
			f.group.onIncrease = func(context.Context, int) (int, error) { return 0, provider.Errorf(provider.KindQuota, words) }
		}, func(f *fixture) { f.group.onIncrease = nil }, 40},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := start(t, withConfig(func(c *Config) { c.FailureThreshold = 1000 }), withGroup(func(g *testGroup) {
					g.onHeartbeat = func(context.Context, string) error { return nil }
				}))
				defer f.end()
				l := f.acquire("job")
				f.group.change(func() { tc.begin(f) })
				switch name {
				case "Decrease":
					if err := l.ReleaseUnhealthy(t.Context(), "it is broken"); err != nil {
						t.Fatal(err)
					}
				case "Increase":
					for n := range 3 {
						go func() { _, _ = f.Acquire(t.Context(), string(rune('a'+n))) }()
					}
				}
				time.Sleep(20 * time.Minute)
				s := f.failingCall(name)
				if s.Failures < 2 || !strings.Contains(s.Error, words) || time.Since(s.Since) < 15*time.Minute || (s.Instance == "") != (name == "Increase") {
					t.Errorf("the status says %+v", s)
				}
				if n := strings.Count(f.log.String(), words); n == 0 || n > tc.log {
					t.Errorf("the log has it %d times", n)
				}
				f.group.change(func() { tc.end(f) })
				time.Sleep(15 * time.Minute)
				if s := f.status().Failing; len(s) > 0 {
					t.Errorf("afterwards: %+v", s)
				}
			})
		})
	}
}

// TestFailingConnectionIsTold: while an instance refuses connections, the status says what is tried and how it failed.
func TestFailingConnectionIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, n := startLate(t, time.Minute, 0)
		defer f.end()
		time.Sleep(30 * time.Second)
		if s := f.failingCall(connecting); s.Instance != "i-0001" || s.Failures < 10 || s.Error != errLate.Error() {
			t.Errorf("the status says %+v", s)
		}
		time.Sleep(time.Until(n.open) + time.Second)
		if f.acquire("job"); len(f.status().Failing) > 0 {
			t.Errorf("afterwards: %+v", f.status().Failing)
		}
		if n := strings.Count(f.log.String(), "connect fails"); n < 1 || n > 3 {
			t.Errorf("the log has it %d times", n)
		}
	})
}

// TestWhyNothingGetsReadyIsTold: a job that waits for an instance to boot is told what keeps the instance from being ready, once that is more than a
// server that is not there yet. What fails for an instance that is ready is no reason to wait.
func TestWhyNothingGetsReadyIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, n := startLate(t, time.Minute, 0)
		defer f.end()
		sentence := func(wait time.Duration) string {
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			_, err := f.Acquire(ctx, "job")
			var denied *WaitError
			if !errors.As(err, &denied) {
				t.Fatal(err)
			}
			return denied.Sentence
		}
		if s := sentence(3 * time.Second); !strings.Contains(s, "waiting for an instance to boot") || strings.Contains(s, errLate.Error()) {
			t.Errorf("at first: %s", s)
		}
		if s := sentence(10 * time.Second); !strings.Contains(s, "for an instance to boot; the latest failure: "+errLate.Error()) {
			t.Errorf("after 10 seconds: %s", s)
		}
		time.Sleep(time.Until(n.open))
		f.acquire("job")
		f.failing.note(connecting, "i-0001", errLate)
		time.Sleep(2 * bootPatience)
		if s := f.failing.ofBoot(); s != "" {
			t.Errorf("of an instance that is ready: %s", s)
		}
	})
}

// TestJumpHostKeepsInstancesFromBeingReady: the jump host's failure is the reason at once.
func TestJumpHostKeepsInstancesFromBeingReady(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := &jumpNet{open: time.Now().Add(time.Minute), final: true}
		f := start(t, WithDialer(n.dial))
		defer f.end()
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		if _, err := f.Acquire(ctx, "job"); err == nil || !strings.Contains(err.Error(), errJump.Error()) {
			t.Errorf("got %v", err)
		}
	})
}

// TestFailuresOfTheGoneAreForgotten: what failed for an instance that is gone is not shown any more.
func TestFailuresOfTheGoneAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		l := f.acquire("job")
		first := true
		f.group.change(func() {
			f.group.onDecrease = func(_ context.Context, ids []string) ([]string, error) {
				if first {
					first = false
					return nil, errors.New("not now")
				}
				for _, id := range ids {
					f.group.vanish(id)
				}
				return ids, nil
			}
		})
		if err := l.ReleaseUnhealthy(t.Context(), "it is broken"); err != nil {
			t.Fatal(err)
		}
		f.until("it is gone", func() bool { return len(f.facts.of(scaler.FactGone)) == 1 })
		if s := f.status().Failing; len(s) > 0 {
			t.Errorf("still there: %+v", s)
		}
	})
}

// TestFailingCreateStaysInTheStatus: the latest failure of a create is shown until one succeeds, also while the next try runs and lists work.
func TestFailingCreateStaysInTheStatus(t *testing.T) {
	for name, failure := range map[string]error{
		"a stock-out":                provider.Errorf(provider.KindCapacity, "no machines"),
		"an answer that never comes": provider.Errorf(provider.KindTransient, "%w: no machines", provider.ErrAway),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := start(t, withGroup(func(g *testGroup) {
					g.onIncrease = func(context.Context, int) (int, error) {
						time.Sleep(20 * time.Second)
						return 0, failure
					}
				}))
				defer f.end()
				go func() { _, _ = f.Acquire(t.Context(), "job") }()
				time.Sleep(25 * time.Second)
				for range 300 {
					if s := f.failingCall("Increase"); s.Failures == 0 || !strings.Contains(s.Error, "no machines") {
						t.Fatalf("%s: the status says %+v", time.Now(), s)
					}
					time.Sleep(time.Second)
				}
				if n := f.failingCall("Increase").Failures; n < 3 {
					t.Errorf("only %d tries", n)
				}
				f.group.change(func() { f.group.onIncrease = nil })
				time.Sleep(15 * time.Minute)
				if s := f.status().Failing; len(s) > 0 {
					t.Errorf("afterwards: %+v", s)
				}
			})
		})
	}
}

// TestUnknownStatesAreTold: an instance whose state is no word of the contract is not used, and the log says so once for each word.
func TestUnknownStatesAreTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(func(c *Config) { c.UpdateInterval = 10 * time.Second }), withGroup(func(g *testGroup) {
			g.add(2)
			g.states["i-0001"], g.states["i-0002"] = "RUNNING", "stopped"
		}))
		defer f.end()
		time.Sleep(5 * time.Minute)
		if n := strings.Count(f.log.String(), "state=RUNNING"); n != 1 {
			t.Errorf("RUNNING is in the log %d times", n)
		}
		if n := strings.Count(f.log.String(), "state=stopped"); n != 1 {
			t.Errorf("stopped is in the log %d times", n)
		}
	})
}

// TestWaitersAreToldOfAFullDisk: while commits fail, whoever asks for a slot is told so, and not nothing.
func TestWaitersAreToldOfAFullDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newStore()
		f := start(t, withStore(store))
		defer f.end()
		f.acquire("first")
		store.set(func(context.Context, statestore.Commit) error { return errors.New("disk full") })
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		failed := make(chan error, 1)
		go func() { _, err := f.Acquire(ctx, "job"); failed <- err }()
		time.Sleep(10 * time.Second)
		w, ok, err := f.Wait(t.Context(), "job")
		if !ok || err != nil || w.Cause != "store" || !strings.Contains(w.Sentence, "disk full") {
			t.Errorf("the caller is told %+v, %v, %v", w, ok, err)
		}
		if err := <-failed; !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "until the state can be stored") {
			t.Errorf("the caller's error: %v", err)
		}
		store.set(nil)
	})
}
