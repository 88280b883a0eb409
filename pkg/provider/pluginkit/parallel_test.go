package pluginkit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
)

var (
	errQuota     = provider.Errorf(provider.KindQuota, "10 machines are allowed")
	errBroken    = errors.New("connection reset")
	errThrottled = &provider.Error{Kind: provider.KindThrottled, RetryAfter: time.Minute, Err: errors.New("slow down")}
	errUnknown   = provider.Errorf(provider.KindNotFound, "no such machine")
)

func TestTimesRunsAtMostSoManyAtOnce(t *testing.T) {
	for _, c := range []struct{ n, atOnce, most int }{{20, 4, 4}, {3, 10, 3}, {5, 1, 1}, {5, 0, 1}, {0, 3, 0}, {-1, 3, 0}} {
		var running, most, calls atomic.Int64
		full := make(chan struct{}) // closed when as many run as may
		got, err := pluginkit.Times(t.Context(), c.n, c.atOnce, func(context.Context, int) error {
			now := running.Add(1)
			defer running.Add(-1)
			calls.Add(1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
			}
			if now == int64(c.most) && most.Load() == now {
				select {
				case <-full:
				default:
					close(full)
				}
			}
			<-full
			return nil
		})
		if n := max(c.n, 0); got != n || err != nil || calls.Load() != int64(n) || most.Load() != int64(c.most) {
			t.Errorf("%+v: %d, %v; %d calls, %d at once", c, got, err, calls.Load(), most.Load())
		}
	}
}

// TestTimesIsPartial: the count of what succeeded and the error that stopped the rest, and no call after that error.
func TestTimesIsPartial(t *testing.T) {
	calls := 0
	got, err := pluginkit.Times(t.Context(), 10, 1, func(_ context.Context, i int) error {
		calls++
		if i == 3 {
			return errQuota
		}
		return nil
	})
	if got != 3 || !errors.Is(err, errQuota) || provider.KindOf(err) != provider.KindQuota || calls != 4 {
		t.Errorf("%d, %v after %d calls", got, err, calls)
	}
}

// TestTimesWithAnUnknownOutcome: one call whose outcome is unknown makes the whole outcome unknown, whatever else failed.
func TestTimesWithAnUnknownOutcome(t *testing.T) {
	together := make(chan struct{}, 2)
	got, err := pluginkit.Times(t.Context(), 2, 2, func(_ context.Context, i int) error {
		together <- struct{}{}
		for len(together) < 2 {
			time.Sleep(time.Millisecond)
		}
		return []error{errQuota, errBroken}[i]
	})
	if got != 0 || provider.KindOf(err) != provider.KindTransient || !errors.Is(err, errQuota) || !errors.Is(err, errBroken) {
		t.Errorf("%d, %v", got, err)
	}
}

func TestTimesEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the limit of the call")
	got, err := pluginkit.Times(ctx, 5, 1, func(_ context.Context, i int) error {
		if i == 1 {
			cancel(gone)
		}
		return nil
	})
	if got != 2 || !errors.Is(err, gone) || provider.KindOf(err) != provider.KindThrottled {
		t.Errorf("%d, %v", got, err)
	}
}

func TestTimesPanicsInItsCaller(t *testing.T) {
	defer func() {
		if p := fmt.Sprint(recover()); !strings.HasPrefix(p, "a fault\n") || !strings.Contains(p, "parallel_test.go") {
			t.Errorf("the panic became %q", p)
		}
	}()
	n, err := pluginkit.Times(t.Context(), 3, 2, func(context.Context, int) error { panic("a fault") })
	t.Errorf("no panic: %d, %v", n, err)
}

func TestEach(t *testing.T) {
	var calls atomic.Int64
	do := func(_ context.Context, id string) error {
		calls.Add(1)
		switch id {
		case "broken":
			return errBroken
		case "gone":
			return pluginkit.Gone(fmt.Errorf("delete: %w", errUnknown))
		case "quota":
			return errQuota
		}
		return nil
	}
	got, err := pluginkit.Each(t.Context(), []string{"a", "broken", "b", "gone", "a", "quota", "c"}, 3, do)
	if !slices.Equal(got, []string{"a", "b", "gone", "c"}) || !errors.Is(err, errBroken) || !errors.Is(err, errQuota) || provider.KindOf(err) != provider.KindTransient || calls.Load() != 6 {
		t.Errorf("%v, %v after %d calls", got, err, calls.Load())
	}
	if got, err := pluginkit.Each(t.Context(), nil, 3, do); got != nil || err != nil {
		t.Errorf("nothing is %v, %v", got, err)
	}
	calls.Store(0)
	got, err = pluginkit.Each(t.Context(), []string{"a", "b", "c"}, 1, func(_ context.Context, id string) error {
		if calls.Add(1); id == "b" {
			return errThrottled
		}
		return nil
	})
	var e *provider.Error
	if !slices.Equal(got, []string{"a"}) || !errors.As(err, &e) || e.RetryAfter != time.Minute || calls.Load() != 2 {
		t.Errorf("throttled: %v, %v after %d calls", got, err, calls.Load())
	}
}

func TestBatches(t *testing.T) {
	var sizes []int
	got, err := pluginkit.Batches(t.Context(), []string{"a", "b", "a", "c", "d", "e"}, 2, func(_ context.Context, batch []string) ([]string, error) {
		sizes = append(sizes, len(batch))
		if slices.Contains(batch, "c") {
			return batch[:1], errQuota
		}
		return batch, nil
	})
	if fmt.Sprint(got, sizes) != "[a b c e] [2 2 1]" || !errors.Is(err, errQuota) {
		t.Errorf("%v, %v, %v", got, err, sizes)
	}
	calls := 0
	got, err = pluginkit.Batches(t.Context(), []string{"a", "b", "c"}, 1, func(context.Context, []string) ([]string, error) { calls++; return nil, errThrottled })
	if got != nil || provider.KindOf(err) != provider.KindThrottled || calls != 1 {
		t.Errorf("throttled: %v, %v after %d calls", got, err, calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err = pluginkit.Batches(ctx, []string{"a"}, 0, func(context.Context, []string) ([]string, error) { return []string{"a"}, nil })
	if got != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, %v", got, err)
	}
}

func TestTogether(t *testing.T) {
	for _, c := range []struct {
		errs []error
		want string
	}{
		{nil, "<nil>"}, {[]error{nil, nil}, "<nil>"}, {[]error{nil, errQuota, errQuota}, "quota: 10 machines are allowed"},
		{[]error{errQuota, errUnknown}, "quota: 10 machines are allowed; not_found: no such machine"},
		{[]error{errQuota, errBroken, provider.Errorf(provider.KindTransient, "x")}, "transient: connection reset; x; quota: 10 machines are allowed"},
		{[]error{errors.New("1"), errors.New("2"), errors.New("3"), errors.New("4"), errors.New("5")}, "transient: 1; 2; 3; and 2 more"},
	} {
		if got := fmt.Sprint(pluginkit.Together(c.errs)); got != c.want {
			t.Errorf("%v, want %s", got, c.want)
		}
	}
	long := &provider.Error{Kind: provider.KindThrottled, RetryAfter: time.Hour, Err: errors.New("wait")}
	for _, errs := range [][]error{{errThrottled, long}, {long, errThrottled}} {
		if f := provider.FailureOf(pluginkit.Together(errs)); f.RetryAfter != time.Hour {
			t.Errorf("of two times the longer one counts, in any order: %+v", f)
		}
	}
}

func TestPages(t *testing.T) {
	pages := map[string]struct {
		items []int
		next  string
	}{"": {[]int{1, 2}, "x"}, "x": {[]int{3}, "y"}, "y": {nil, ""}}
	got, err := pluginkit.Pages(t.Context(), func(_ context.Context, token string) ([]int, string, error) {
		return pages[token].items, pages[token].next, nil
	})
	if err != nil || !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("%v, %v", got, err)
	}
	got, err = pluginkit.Pages(t.Context(), func(_ context.Context, token string) ([]int, string, error) {
		if token == "x" {
			return []int{3}, "", errThrottled
		}
		return []int{1}, "x", nil
	})
	if got != nil || provider.KindOf(err) != provider.KindThrottled || !strings.Contains(err.Error(), "page 2") {
		t.Errorf("the second page fails: %v, %v", got, err)
	}
	calls := 0
	got, err = pluginkit.Pages(t.Context(), func(context.Context, string) ([]int, string, error) { calls++; return []int{1}, "again", nil })
	if got != nil || err == nil || calls != 2 {
		t.Errorf("a list that goes round: %v, %v after %d calls", got, err, calls)
	}
	calls = 0
	got, err = pluginkit.Pages(t.Context(), func(context.Context, string) ([]int, string, error) { calls++; return nil, fmt.Sprint(calls), nil })
	if got != nil || err == nil || calls != 10_001 {
		t.Errorf("a list without an end: %v, %v after %d calls", got, err, calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	got, err = pluginkit.Pages(ctx, func(context.Context, string) ([]int, string, error) { cancel(); return []int{1}, "x", nil })
	if got != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, %v", got, err)
	}
}

func TestNumberedPages(t *testing.T) {
	got, err := pluginkit.NumberedPages(t.Context(), func(_ context.Context, page int) ([]int, bool, error) { return []int{page}, page < 3, nil })
	if err != nil || !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("%v, %v", got, err)
	}
	got, err = pluginkit.NumberedPages(t.Context(), func(_ context.Context, page int) ([]int, bool, error) { return []int{page}, false, errBroken })
	if got != nil || !errors.Is(err, errBroken) {
		t.Errorf("%v, %v", got, err)
	}
}
