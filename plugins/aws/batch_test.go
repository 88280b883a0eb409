package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// bad makes EC2's error for ids that it does not know.
func bad(ids ...string) error {
	if len(ids) == 1 {
		return provider.Errorf(provider.KindNotFound, "InvalidInstanceID.NotFound: The instance ID '%s' does not exist", ids[0])
	}
	return provider.Errorf(provider.KindNotFound, "InvalidInstanceID.NotFound: The instance IDs '%s' do not exist", strings.Join(ids, ", "))
}

func ident(n int) string { return fmt.Sprintf("i-%017x", n) }

// asker answers with the id, and records its calls.
type asker struct {
	takes time.Duration
	fail  func(ids []string) error

	mu    sync.Mutex
	calls [][]string
}

func (a *asker) ask(ctx context.Context, ids []string) (map[string]string, error) {
	a.mu.Lock()
	a.calls = append(a.calls, slices.Clone(ids))
	a.mu.Unlock()
	select {
	case <-time.After(a.takes):
	case <-ctx.Done():
		return nil, provider.Errorf(provider.KindTransient, "%w", ctx.Err())
	}
	if a.fail != nil {
		if err := a.fail(ids); err != nil {
			return nil, err
		}
	}
	found := map[string]string{}
	for _, id := range ids {
		found[id] = id
	}
	return found, nil
}

// gathered runs f in a bubble with a batcher.
func gathered(t *testing.T, a *asker, size int, f func(t *testing.T, b *batcher[string])) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(context.Background())
		b := newBatcher(ctx, size, a.ask)
		f(t, b)
		stop()
		b.wait()
	})
}

type answer struct {
	text  string
	known bool
	err   error
}

// all asks for ids at once.
func all(ctx context.Context, b *batcher[string], ids ...string) []answer {
	answers := make([]answer, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() { answers[i].text, answers[i].known, answers[i].err = b.get(ctx, id) })
	}
	wg.Wait()
	return answers
}

func idents(n int) (ids []string) {
	for i := range n {
		ids = append(ids, ident(i))
	}
	return ids
}

func TestQuestionsShareCalls(t *testing.T) {
	a := &asker{takes: time.Second}
	gathered(t, a, 100, func(t *testing.T, b *batcher[string]) {
		ids := idents(250)
		for i, got := range all(t.Context(), b, append(ids, ids...)...) {
			if got.text != ids[i%250] || !got.known || got.err != nil {
				t.Errorf("%d: %+v", i, got)
			}
		}
		if len(a.calls) != 3 || len(a.calls[0]) != 100 || len(slices.Concat(a.calls...)) != 250 {
			t.Errorf("%d calls with %d ids", len(a.calls), len(slices.Concat(a.calls...)))
		}
		if got := all(t.Context(), b, ids[0])[0]; !got.known || len(a.calls) != 4 {
			t.Errorf("a later question has %+v after %d calls", got, len(a.calls))
		}
	})
}

func TestQuestionJoinsOneThatIsAsked(t *testing.T) {
	a := &asker{takes: time.Second}
	gathered(t, a, 100, func(t *testing.T, b *batcher[string]) {
		b.want(idents(3)...)
		time.Sleep(500 * time.Millisecond)
		began := time.Now()
		got := all(t.Context(), b, ident(2))[0]
		if took := time.Since(began); !got.known || len(a.calls) != 1 || took != 500*time.Millisecond+gather {
			t.Errorf("%+v after %d calls in %s", got, len(a.calls), took)
		}
	})
}

func TestBadIDFailsNoOther(t *testing.T) {
	unknown := []string{ident(3), ident(7)}
	for name, fail := range map[string]func(ids []string) error{
		"named":     func(there []string) error { return bad(there...) },
		"one named": func(there []string) error { return bad(there[0]) },
		"unnamed": func([]string) error {
			return provider.Errorf(provider.KindNotFound, "InvalidInstanceID.NotFound: something does not exist")
		},
		"part of an id named": func([]string) error { return bad(ident(3)[:10]) },
	} {
		t.Run(name, func(t *testing.T) {
			a := &asker{takes: time.Second}
			a.fail = func(ids []string) error {
				there := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !slices.Contains(unknown, id) })
				if len(there) == 0 {
					return nil
				}
				return fail(there)
			}
			gathered(t, a, 100, func(t *testing.T, b *batcher[string]) {
				ids := idents(10)
				for i, got := range all(t.Context(), b, ids...) {
					if got.err != nil || got.known == slices.Contains(unknown, ids[i]) {
						t.Errorf("%s: %+v", ids[i], got)
					}
				}
				if n := map[string]int{"named": 2, "one named": 3}[name]; n > 0 && len(a.calls) != n {
					t.Errorf("%d calls, want %d", len(a.calls), n)
				}
			})
		})
	}
}

func TestThrottledBatchDropsNobody(t *testing.T) {
	a := &asker{takes: time.Second}
	a.fail = func(ids []string) error {
		if slices.Contains(ids, ident(1)) {
			return bad(ident(1))
		}
		return &provider.Error{Kind: provider.KindThrottled, RetryAfter: time.Minute, Err: errors.New("RequestLimitExceeded")}
	}
	gathered(t, a, 5, func(t *testing.T, b *batcher[string]) {
		for i, got := range all(t.Context(), b, idents(10)...) {
			if f := provider.FailureOf(got.err); f.Kind != provider.KindThrottled || f.RetryAfter != time.Minute {
				t.Errorf("%d: %+v", i, got)
			}
		}
	})
}

func TestCallerLeavesAlone(t *testing.T) {
	a := &asker{takes: 10 * time.Second}
	gathered(t, a, 100, func(t *testing.T, b *batcher[string]) {
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var left, stayed answer
		var wg sync.WaitGroup
		wg.Go(func() { left = all(short, b, ident(0))[0] })
		wg.Go(func() { stayed = all(t.Context(), b, ident(1))[0] })
		wg.Wait()
		if !errors.Is(left.err, context.DeadlineExceeded) || provider.KindOf(left.err) != provider.KindTransient || !stayed.known {
			t.Errorf("the one that left has %+v, the other %+v", left, stayed)
		}
		if got := all(short, b, ident(5))[0]; got.err == nil || len(a.calls) != 1 {
			t.Errorf("a caller whose time is over has %+v after %d calls", got, len(a.calls))
		}
	})
}

func TestBatchHasALimit(t *testing.T) {
	gathered(t, &asker{takes: time.Hour}, 100, func(t *testing.T, b *batcher[string]) {
		began := time.Now()
		got := all(t.Context(), b, ident(0))[0]
		if took := time.Since(began); provider.KindOf(got.err) != provider.KindTransient || got.known || took > time.Minute {
			t.Errorf("%+v in %s", got, took)
		}
	})
}

func TestPanicIsAnError(t *testing.T) {
	gathered(t, &asker{takes: 1, fail: func([]string) error { panic("oops") }}, 100, func(t *testing.T, b *batcher[string]) {
		for _, got := range all(t.Context(), b, idents(2)...) {
			if got.err == nil || got.known {
				t.Errorf("%+v", got)
			}
		}
	})
}

func TestCloseEndsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asker{takes: time.Hour}
		ctx, stop := context.WithCancel(context.Background())
		b := newBatcher(ctx, 2, a.ask)
		b.want(idents(3)...) // one batch is asked, one gathers
		var got answer
		var wg sync.WaitGroup
		wg.Go(func() { got = all(context.Background(), b, ident(2))[0] })
		synctest.Wait()
		stop()
		b.wait()
		wg.Wait()
		if got.known || got.err == nil {
			t.Errorf("%+v", got)
		}
	})
}

// TestCallThatNobodyWaitsForEnds: a call ends with its last caller, and one that nobody ever waited for after a few seconds. Who asks then makes a new one.
func TestCallThatNobodyWaitsForEnds(t *testing.T) {
	a := &asker{takes: 30 * time.Second}
	gathered(t, a, 100, func(t *testing.T, b *batcher[string]) {
		begin := time.Now()
		b.want(ident(1))
		time.Sleep(time.Second)
		b.mu.Lock()
		in := b.asked[ident(1)]
		b.mu.Unlock()
		<-in.done
		if d := time.Since(begin); d < wantLimit || d > wantLimit+time.Second || in.err == nil {
			t.Errorf("a question of nobody ended after %v: %v", d, in.err)
		}

		short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		long, cancelLong := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancelLong()
		begin = time.Now()
		var callers sync.WaitGroup
		for _, ctx := range []context.Context{short, long} {
			callers.Go(func() {
				if _, _, err := b.get(ctx, ident(2)); err == nil {
					t.Error("an answer after the end of the call")
				}
			})
		}
		time.Sleep(time.Second)
		b.mu.Lock()
		in = b.asked[ident(2)]
		b.mu.Unlock()
		<-in.done
		if d := time.Since(begin); d < 8*time.Second || d > 9*time.Second {
			t.Errorf("the call ended after %v, and its last caller left after 8s", d)
		}
		callers.Wait()
		if got := all(t.Context(), b, ident(2))[0]; !got.known || got.err != nil {
			t.Errorf("a new question: %+v", got)
		}
	})
}

// TestAnswersBeforeAFailureCount: a batch is asked in two halves, because of an id that AWS does not name. One half is answered, and the other one fails.
func TestAnswersBeforeAFailureCount(t *testing.T) {
	a := &asker{takes: time.Second}
	a.fail = func(ids []string) error {
		switch {
		case len(ids) == 2:
			return provider.Errorf(provider.KindNotFound, "InvalidInstanceID.NotFound: something does not exist")
		case len(a.calls) == 3: // the second half
			return provider.Errorf(provider.KindThrottled, "Request limit exceeded")
		}
		return nil
	}
	gathered(t, a, 100, func(t *testing.T, b *batcher[string]) {
		good, throttled := 0, 0
		for _, got := range all(t.Context(), b, idents(2)...) {
			if got.known && got.err == nil {
				good++
			}
			if provider.KindOf(got.err) == provider.KindThrottled {
				throttled++
			}
		}
		if good != 1 || throttled != 1 {
			t.Errorf("%d answers and %d failures", good, throttled)
		}
	})
}
