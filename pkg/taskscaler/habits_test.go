package taskscaler

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

func TestCapacity(t *testing.T) {
	for name, tc := range map[string]struct {
		max, provider, per int
		want               Capacity
	}{
		"ours":               {max: 3, provider: 10, per: 2, want: Capacity{2, 3, 6}},
		"the provider's":     {max: 30, provider: 10, per: 2, want: Capacity{2, 10, 20}},
		"only the provider":  {provider: 10, per: 1, want: Capacity{1, 10, 10}},
		"none":               {per: 4, want: Capacity{PerInstance: 4}},
		"unbounded provider": {provider: math.MaxInt, per: 4, want: Capacity{PerInstance: 4}},
		"saturated":          {max: math.MaxInt / 2, per: 4, want: Capacity{4, math.MaxInt / 2, math.MaxInt}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := start(t, withGroup(func(g *testGroup) { g.max = tc.provider }), withConfig(func(c *Config) {
					c.MaxInstances, c.CapacityPerInstance, c.Policies = tc.max, tc.per, nil
				}))
				if got := f.Capacity(); got != tc.want {
					t.Errorf("%+v, want %+v", got, tc.want)
				}
				f.end()
			})
		})
	}
}

func TestCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		l := f.acquire("job")
		got, err := f.Counts(t.Context())
		if err != nil || got != f.status().Counts || got.Leases != 1 || got.Existing() == 0 {
			t.Errorf("%+v, %v; status has %+v", got, err, f.status().Counts)
		}
		if err := l.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.end()
		if _, err := f.Counts(t.Context()); !errors.Is(err, ErrShutdown) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// TestReasonReachesTheNeighbour: the reason that one caller gives for an unhealthy instance reaches the other callers on it, the log and the
// observers. It has a limited length and is on one line.
func TestReasonReachesTheNeighbour(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var facts []Fact
		f := start(t, WithObserver(func(f Fact) { facts = append(facts, f) }), withConfig(func(c *Config) { c.CapacityPerInstance, c.MaxInstances = 2, 1 }))
		defer f.end()
		one, two := f.acquire("one"), f.acquire("two")
		if err := one.ReleaseUnhealthy(t.Context(), "the disk\nis full "+strings.Repeat("é", 400)); err != nil {
			t.Fatal(err)
		}
		<-two.Context().Done()
		var revoked *RevokedError
		if !errors.As(context.Cause(two.Context()), &revoked) || revoked.Cause != record.CauseUnhealthy {
			t.Fatalf("the other lease ended with %v", context.Cause(two.Context()))
		}
		if !strings.Contains(revoked.Sentence, `("the disk is full éé`) || len(revoked.Sentence) > 2*safetext.MaxMessage || !strings.Contains(revoked.Error(), revoked.Sentence) {
			t.Errorf("sentence %q", revoked.Sentence)
		}
		synctest.Wait()
		seen := map[FactKind]bool{}
		for _, fact := range facts {
			if strings.HasPrefix(fact.Failure.Message, "the disk is full") && len(fact.Failure.Message) <= safetext.MaxMessage {
				seen[fact.Kind] = true
			}
		}
		if !seen[FactRetire] || !seen[FactRevoke] {
			t.Errorf("the reason is in %v", seen)
		}
	})
}

// TestReasonOfAChangedHostKey: the other callers on the instance hear that it is its host key, and what the caller said about it.
func TestReasonOfAChangedHostKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(func(c *Config) { c.CapacityPerInstance, c.MaxInstances = 2, 1 }))
		defer f.end()
		one, two := f.acquire("one"), f.acquire("two")
		if err := one.ReleaseChangedHostKey(t.Context(), "got SHA256:x"); err != nil {
			t.Fatal(err)
		}
		<-two.Context().Done()
		var revoked *RevokedError
		if !errors.As(two.Err(), &revoked) || revoked.Cause != record.CauseChangedHostKey || !strings.Contains(revoked.Sentence, "got SHA256:x") {
			t.Errorf("the other lease ended with %v", two.Err())
		}
	})
}

// TestLongReasons: a reason is cut at a whole character, so that the journal keeps all of it.
func TestLongReasons(t *testing.T) {
	for text, want := range map[string]string{
		"": "", " two\n\tlines ": "two lines", "not \xff text": `not \xff text`, "\x1b[2Jcleared": `\x1b[2Jcleared`,
		strings.Repeat("x", 512):              strings.Repeat("x", 512),
		strings.Repeat("x", 600) + " the end": strings.Repeat("x", 339) + "…" + strings.Repeat("x", 161) + " the end",
	} {
		if got := bounded(text); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// TestReleaseWhileCommitsFail: a Release waits for the commit until its context ends, and takes effect with the next commit.
func TestReleaseWhileCommitsFail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newStore()
		f := start(t, withStore(store))
		defer f.end()
		l := f.acquire("job")
		store.set(func(context.Context, statestore.Commit) error { return errors.New("the disk is full") })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		err := l.Release(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 15*time.Second {
			t.Errorf("Release = %v after %s", err, time.Since(began))
		}
		if c, err := f.Counts(t.Context()); err != nil || c.Leases != 1 || c != f.status().Counts {
			t.Errorf("before the commit the counts are %+v, %v", c, err)
		}
		for name, call := range map[string]func(context.Context) error{
			"Reserve":  func(ctx context.Context) error { return f.Reserve(ctx, "other") },
			"Reattach": func(ctx context.Context) error { _, err := f.Reattach(ctx, "job"); return err },
			"Undrain":  f.Undrain,
		} {
			soon, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := call(soon); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errAbandoned) {
				t.Errorf("%s = %v", name, err)
			}
		}
		store.set(nil)
		f.until("the release", func() bool { c, err := f.Counts(context.Background()); return err == nil && c.Leases == 0 })
		if err := l.Release(t.Context()); err != nil {
			t.Errorf("a second release: %v", err)
		}
	})
}

// TestCallersWhoseContextHasEnded: they use no instance up, and take no lease away from the caller that has it.
func TestCallersWhoseContextHasEnded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(func(c *Config) { c.CapacityPerInstance, c.MaxInstances = 2, 1 }))
		defer f.end()
		l := f.acquire("job")
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for range 5 {
			if _, err := f.Acquire(ended, "other"); !errors.Is(err, context.Canceled) {
				t.Errorf("Acquire = %v", err)
			}
			if _, err := f.Reattach(ended, "job"); !errors.Is(err, context.Canceled) {
				t.Errorf("Reattach = %v", err)
			}
			if _, err := f.Replace(ended, "job"); !errors.Is(err, context.Canceled) {
				t.Errorf("Replace = %v", err)
			}
		}
		if l.Err() != nil {
			t.Errorf("the lease ended: %v", l.Err())
		}
		if next := f.acquire("next"); next.Use() != l.Use()+1 {
			t.Errorf("use %d follows use %d", next.Use(), l.Use())
		}
	})
}

// TestRefusalsInWords: each refusal has a sentence with its cause.
func TestRefusalsInWords(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(func(c *Config) { c.CapacityPerInstance, c.MaxInstances = 1, 1 }))
		defer f.end()
		f.acquire("holder")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := f.Acquire(ctx, "waiter")
		var wait *WaitError
		if !errors.As(err, &wait) || wait.Cause != record.CauseDeadline || !strings.Contains(wait.Sentence, "max_instances") || !strings.HasSuffix(wait.Error(), wait.Sentence) {
			t.Errorf("Acquire: %v", err)
		}
		_, err = f.Acquire(t.Context(), "holder")
		if !errors.As(err, &wait) || wait.Sentence != observe.Denial(record.CauseDuplicate) {
			t.Errorf("the same key: %v", err)
		}
		if err := f.Release(t.Context(), "nobody"); !errors.As(err, &wait) || wait.Sentence == "" || !errors.Is(err, ErrUnknownKey) {
			t.Errorf("Release: %v", err)
		}
		var full *NoCapacityError
		if err := f.Reserve(t.Context(), "another"); !errors.As(err, &full) || full.Sentence == "" {
			t.Errorf("Reserve: %v", err)
		}
		if e := (&WaitError{Key: "k", Cause: record.CauseShutdown}); !strings.Contains(e.Error(), observe.Denial(e.Cause)) {
			t.Errorf("without a sentence: %v", e)
		}
	})
}

// TestWaitersHearOfTheLastFailure: the error of a caller that waited for a back-off says what failed.
func TestWaitersHearOfTheLastFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withGroup(func(g *testGroup) {
			g.onIncrease = func(context.Context, int) (int, error) {
				return 0, provider.Errorf(provider.KindQuota, "no more vCPUs")
			}
		}))
		defer f.end()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := f.Acquire(ctx, "job"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no more vCPUs") {
			t.Errorf("Acquire: %v", err)
		}
	})
	a := answer{cause: record.CauseDeadline, why: record.CauseBackoff, waited: time.Second, latest: "no image ami-1"}
	if e := refusal("job", &a); !strings.Contains(e.Error(), "no image ami-1") {
		t.Errorf("%v", e)
	}
	b := scaler.Batch{Facts: []scaler.Fact{{Kind: scaler.FactRevoke, Key: "other", ID: "i-1"}}}
	if got := revocation(&scaler.Grant{Key: "job", ID: "i-1", Cause: record.CauseMissing}, &b); got != observe.Revoke(record.CauseMissing) {
		t.Errorf("without words: %q", got)
	}
}

// TestRefusedReservationCounts: the counts of a refusal are those of slots and leases, not of instances.
func TestRefusedReservationCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(func(c *Config) { c.CapacityPerInstance, c.MaxInstances = 3, 1 }))
		defer f.end()
		f.acquire("lease")
		for _, key := range []string{"one", "two"} {
			if err := f.Reserve(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		var full *NoCapacityError
		if err := f.Reserve(t.Context(), "three"); !errors.As(err, &full) || full.Idle != 2 || full.Acquired != 1 || full.Unready != 0 {
			t.Errorf("Reserve: %v", err)
		}
	})
}
