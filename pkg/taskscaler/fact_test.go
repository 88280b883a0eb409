package taskscaler

import (
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestFactKinds: every kind of the core has exactly one public kind.
func TestFactKinds(t *testing.T) {
	public := []FactKind{
		FactCreate, FactAppeared, FactReady, FactRetire, FactDelete, FactGone, FactLost, FactReturned, FactRevoke, FactDeny, FactWait, FactPolicy,
		FactRefused, FactFruitless, FactListFailed, FactUnclaimed, FactAlarm, FactForeign, FactAdopt, FactReload, FactIntent, FactPrepare,
		FactHold, FactBreaker, FactListed, FactUnreachable,
	}
	for n, kind := range public {
		if core := scaler.FactKind(n + 1).String(); core != string(kind) {
			t.Errorf("fact %d is %q here and %q in the core", n+1, kind, core)
		}
	}
	if beyond := scaler.FactKind(len(public) + 1).String(); beyond != "invalid" {
		t.Errorf("the core has a fact %q that is not public", beyond)
	}
}

// TestFactIsACopy: a fact has everything that the core says, and one that an observer keeps does not change afterwards.
func TestFactIsACopy(t *testing.T) {
	of := scaler.Fact{Kind: scaler.FactPrepare, ID: "i-1", Key: "job", Cause: record.CausePrepareFailed, Count: 2, On: true, Took: time.Second,
		Decision: policy.Decision{Wanted: 3},
		At:       scaler.Time{Wall: time.Unix(7, 0)}, Failure: failure.Failure{Kind: failure.Transient, Message: "no route"}}
	got := factOf(&of)
	want := got.String()
	of = scaler.Fact{}
	if got.String() != want || want != "preparing instance i-1 failed: no route" || got.Instance != "i-1" || got.Key != "job" || got.Count != 2 ||
		got.Took != time.Second || !got.At.Equal(time.Unix(7, 0)) || got.Cause != record.CausePrepareFailed || got.Failure.Message != "no route" ||
		!got.On || got.Decision.Wanted != 3 {
		t.Errorf("%+v: %s, want %s", got, got, want)
	}
}

// TestObserversInOrder: every observer receives every fact, in the order of the decisions.
func TestObserversInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var one, two []Fact
		f := start(t, WithObserver(func(f Fact) { one = append(one, f) }), WithObserver(func(f Fact) { two = append(two, f) }))
		l := f.acquire("job")
		if err := l.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.end()
		if len(one) < 4 || len(one) != len(two) {
			t.Fatalf("%d and %d facts", len(one), len(two))
		}
		seen := map[FactKind]bool{}
		for n := range one {
			seen[one[n].Kind] = true
			if one[n].Kind != two[n].Kind || one[n].String() == "" || n > 0 && one[n].At.Before(one[n-1].At) {
				t.Errorf("fact %d: %s and %s", n, one[n], two[n])
			}
		}
		for _, kind := range []FactKind{FactCreate, FactAppeared, FactReady} {
			if !seen[kind] {
				t.Errorf("no %s among %v", kind, one)
			}
		}
	})
}
