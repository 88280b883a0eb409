package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// issuer makes credentials that are good for life. err fails each question, and slow delays it.
type issuer struct {
	mu        sync.Mutex
	life      time.Duration
	err       error
	slow      time.Duration
	asked     int
	now, most int            // questions at the same time
	byID      map[string]int // questions
}

func (p *issuer) connectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	p.mu.Lock()
	p.asked++
	p.byID[id]++
	p.now++
	p.most = max(p.most, p.now)
	n, life, err, slow := p.asked, p.life, p.err, p.slow
	p.mu.Unlock()
	defer func() { p.mu.Lock(); p.now--; p.mu.Unlock() }()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return provider.ConnectInfo{}, ctx.Err()
		}
	}
	at := time.Now().Add(life)
	return provider.ConnectInfo{ID: id, Expires: &at, ConnectorConfig: provider.ConnectorConfig{Password: fmt.Sprint("once-", n)}}, err
}

func (p *issuer) set(f func()) { p.mu.Lock(); defer p.mu.Unlock(); f() }

func (p *issuer) count() int { p.mu.Lock(); defer p.mu.Unlock(); return p.asked }

// startIssuer starts a manager that keeps n idle instances of one slot.
func startIssuer(t *testing.T, n int, life time.Duration, opts ...any) (*fixture, *issuer) {
	p := &issuer{life: life, byID: map[string]int{}}
	f := start(t, append([]any{withConfig(func(c *Config) {
		c.CapacityPerInstance, c.MaxInstances, c.FailureThreshold, c.Policies = 1, n, 3, idle(t, n, 100*time.Hour)
	}), withGroup(func(g *testGroup) { g.onConnect = p.connectInfo })}, opts...)...)
	f.until("they are ready", func() bool { return f.status().Counts.ReadyCount == n })
	return f, p
}

// TestCredentialsAreReplacedAheadOfTheirEnd: a job never waits for credentials, and each instance is asked about once in a life of them.
func TestCredentialsAreReplacedAheadOfTheirEnd(t *testing.T) {
	for _, life := range []time.Duration{30 * time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const instances, lives, looks = 3, 4, 50
				f, p := startIssuer(t, instances, life)
				defer f.end()
				margin := min(max(life/5, aheadLeast), aheadMost)
				for n := range lives * looks {
					time.Sleep(life / looks)
					synctest.Wait()
					asked := p.count()
					l := f.acquire(fmt.Sprint("job-", n))
					info, err := l.ConnectInfo(t.Context())
					if err != nil || p.count() != asked {
						t.Fatalf("a job asked the provider: %v", err)
					}
					if left := time.Until(*info.Expires); left < margin-time.Second {
						t.Fatalf("the credentials are good for %s, want %s", left, margin)
					}
					if err := l.Release(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if least, most := instances*lives, instances*(2+int(lives*life/(life-margin*5/4))); p.count() < least || p.count() > most {
					t.Errorf("%d questions, want %d to %d", p.count(), least, most)
				}
			})
		})
	}
}

func TestShortCredentialsAreAskedForByJobs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, p := startIssuer(t, 1, aheadShort-time.Second)
		defer f.end()
		time.Sleep(time.Minute)
		asked := p.count() // the preparation, and at most one question that finds out how long they live
		time.Sleep(time.Hour)
		if p.count() != asked || asked > 2 {
			t.Fatalf("%d questions, and %d in an hour without jobs", asked, p.count()-asked)
		}
		if info, err := f.acquire("job").ConnectInfo(t.Context()); err != nil || time.Until(*info.Expires) < 20*time.Second {
			t.Errorf("the job got %v, %v", info.Expires, err)
		}
	})
}

// TestLeaseInTheLastSeconds: a job that begins then gets other credentials if the provider answers in time, and the known ones otherwise.
func TestLeaseInTheLastSeconds(t *testing.T) {
	for name, tc := range map[string]struct {
		err   error
		slow  time.Duration
		fresh bool
	}{
		"it answers": {nil, 0, true},
		"it fails":   {errors.New("500 internal error"), 0, false},
		"it hangs":   {nil, time.Hour, false},
		"away":       {fmt.Errorf("call: %w", provider.ErrAway), 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f, p := startIssuer(t, 1, time.Minute)
				defer f.end()
				known, _ := f.vault.get("i-0001")
				p.set(func() { p.err = errors.New("out of order") })
				time.Sleep(time.Until(*known.info.Reveal().Expires) - 8*time.Second)
				p.set(func() { p.err, p.slow = tc.err, tc.slow })
				began := time.Now()
				info, err := f.acquire("job").ConnectInfo(t.Context())
				if err != nil || (info.Password != "once-1") != tc.fresh || time.Since(began) > 2*time.Second {
					t.Errorf("got %s after %s, %v", info.Password, time.Since(began), err)
				}
				if len(f.facts.of(scaler.FactUnreachable)) != 0 || f.status().Counts.ReadyCount != 1 {
					t.Error("something was concluded about the instance")
				}
			})
		})
	}
}

// TestOutageAheadOfTheEnd: while the provider fails, nothing is concluded from it until the credentials have expired. Then the instance gets no
// job until the provider answers. An outage of a few minutes costs no instance; without an end it does.
func TestOutageAheadOfTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, p := startIssuer(t, 3, 10*time.Minute)
		defer f.end()
		p.set(func() { p.err = errors.New("500 internal error") })
		time.Sleep(9*time.Minute + 30*time.Second)
		if asked := p.count(); asked < 3+3 || len(f.facts.of(scaler.FactUnreachable)) != 0 {
			t.Fatalf("%d questions; facts %v", asked, f.facts.of(scaler.FactUnreachable))
		}
		if words := f.failingCall("ConnectInfo").Error; !strings.Contains(words, "500 internal error") {
			t.Errorf("the status says %q", words)
		}
		time.Sleep(5 * time.Minute)
		if n := len(f.facts.of(scaler.FactUnreachable)); n != 3 {
			t.Fatalf("%d instances are known to be unreachable, want 3", n)
		}
		p.set(func() { p.err = nil })
		time.Sleep(2 * time.Minute)
		if n := len(f.facts.of(scaler.FactUnreachable)); n != 6 || len(f.facts.of(scaler.FactRetire)) != 0 {
			t.Fatalf("after the outage: %d facts, %v", n, f.facts.of(scaler.FactRetire))
		}
		asked := p.count()
		if _, err := f.acquire("job").ConnectInfo(t.Context()); err != nil || p.count() != asked {
			t.Errorf("after the outage a job asks: %v", err)
		}
		p.set(func() { p.err = errors.New("500 internal error") })
		f.until("the instances are replaced", func() bool { return len(f.facts.of(scaler.FactRetire)) == 3 })
	})
}

func TestAnswersAheadOfTheEndThatCondemn(t *testing.T) {
	for name, err := range map[string]error{
		"not found": provider.Errorf(provider.KindNotFound, "i-0001 is terminated"), "unhealthy": provider.ErrInstanceUnhealthy,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f, p := startIssuer(t, 1, time.Minute)
				defer f.end()
				p.set(func() { p.err = err })
				time.Sleep(50 * time.Second)
				if facts := f.facts.of(scaler.FactRetire); len(facts) != 1 || facts[0].Cause != record.CauseUnhealthy {
					t.Errorf("facts %+v", facts)
				}
			})
		})
	}
}

// TestCredentialsThatExpiredWhileItWasStopped: a manager that starts replaces them after its first list, before a job comes, and not all at once.
func TestCredentialsThatExpiredWhileItWasStopped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const instances = 12
		first, p := startIssuer(t, instances, 10*time.Minute)
		store, group := first.crash()
		time.Sleep(time.Hour)
		group.onConnect = p.connectInfo
		listed := false
		group.onUpdate = func(context.Context) error {
			if hook(group, &listed) {
				return nil
			}
			return errors.New("no lists yet")
		}
		p.set(func() { p.slow, p.most = time.Second, 0 })
		before := p.count()
		f := start(t, withStore(store), onGroup(group, first.net), withConfig(func(c *Config) {
			c.CapacityPerInstance, c.MaxInstances, c.Policies = 1, instances, idle(t, instances, 100*time.Hour)
		}))
		defer f.end()
		time.Sleep(time.Minute)
		if p.count() != before {
			t.Fatal("the provider was asked before its first list")
		}
		group.change(func() { listed = true })
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if n := p.count() - before; n != instances || p.most > aheadAtOnce {
			t.Fatalf("%d questions, %d at once", n, p.most)
		}
		began := time.Now()
		if _, err := f.acquire("job").ConnectInfo(t.Context()); err != nil || time.Since(began) > 0 {
			t.Errorf("a job waited %s, %v", time.Since(began), err)
		}
	})
}

// TestNothingIsAskedAboutTheGone: neither an instance that is deleted nor a manager that has ended asks.
func TestNothingIsAskedAboutTheGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, p := startIssuer(t, 2, time.Minute)
		l := f.acquire("job")
		gone := l.InstanceID()
		if err := l.ReleaseUnhealthy(t.Context(), "ill"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		asked := func() int { p.mu.Lock(); defer p.mu.Unlock(); return p.byID[gone] }
		before := asked()
		time.Sleep(10 * time.Minute)
		if n := asked() - before; n != 0 {
			t.Errorf("%d questions about an instance that is deleted", n)
		}
		f.end()
		all := p.count()
		time.Sleep(time.Hour)
		if p.count() != all {
			t.Errorf("%d questions after the end of the manager", p.count()-all)
		}
	})
}

// TestInstancesDoNotAskTogether: the margins of instances that were created together differ.
func TestInstancesDoNotAskTogether(t *testing.T) {
	seen := map[time.Duration]bool{}
	for n := range 200 {
		margin := aheadOf(record.ID(fmt.Sprintf("i-%04d", n)), time.Hour)
		if margin < aheadMost || margin >= aheadMost*5/4 {
			t.Errorf("a margin of %s", margin)
		}
		seen[margin] = true
	}
	if len(seen) < 100 {
		t.Errorf("200 instances have %d margins", len(seen))
	}
}

// TestLateQuestionAboutAnEarlierInstance: a question about an instance that is gone ends when its turn comes. A new instance with its name is asked about
// all the same.
func TestLateQuestionAboutAnEarlierInstance(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, p := startIssuer(t, 1, time.Minute)
		defer f.end()
		s, ok := f.vault.get(record.ID(f.status().Instances[0].ID))
		if !ok {
			t.Fatal("the vault does not know the instance")
		}
		f.keeper.ask(s.id, s.serial+1, aheadFirst)
		before := p.count()
		time.Sleep(time.Minute)
		if p.count() == before {
			t.Error("the instance is not asked about any more")
		}
	})
}

// TestLateAnswerAboutAnEarlierInstance: a question that is answered after another instance got the name changes nothing for that one.
func TestLateAnswerAboutAnEarlierInstance(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		life time.Duration
	}{
		"it fails":                 {errors.New("500 internal error"), time.Minute},
		"it answers":               {nil, 24 * time.Hour},
		"it answers, for a moment": {nil, aheadShort / 2},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f, p := startIssuer(t, 1, time.Hour)
				defer f.end()
				earlier, ok := f.vault.get(record.ID(f.status().Instances[0].ID))
				if !ok {
					t.Fatal("the vault does not know the instance")
				}
				p.set(func() { p.err, p.life, p.slow = tc.err, tc.life, 10*time.Second })
				f.work.running.start(func() { f.keeper.ask(earlier.id, earlier.serial, time.Hour) })
				synctest.Wait()
				later := earlier
				later.serial++
				f.vault.set(later)
				f.keeper.mind(later.id, later.serial, later.info.Reveal(), true)
				p.set(func() { p.err, p.life, p.slow = nil, time.Hour, 0 })
				time.Sleep(time.Minute)
				if failing := f.status().Failing; len(failing) != 0 {
					t.Errorf("the status says that %+v fails", failing)
				}
				for range 3 {
					before := p.count()
					time.Sleep(time.Hour)
					if p.count() == before {
						t.Fatal("the instance is not asked about any more")
					}
				}
			})
		})
	}
}
