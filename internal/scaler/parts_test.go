package scaler

import (
	"slices"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/draw"
)

// TestTimersAgainstList compares the heap with a list that is searched linearly.
func TestTimersAgainstList(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		type entry struct {
			t       *timer
			at, seq time.Duration
		}
		var h timers
		var list []entry
		all := make([]*timer, 12)
		for n := range all {
			all[n] = &timer{of: n}
		}
		seq := time.Duration(0)
		first := func() int {
			best := -1
			for n, e := range list {
				if best < 0 || e.at < list[best].at || e.at == list[best].at && e.seq < list[best].seq {
					best = n
				}
			}
			return best
		}
		drop := func(x *timer) {
			list = slices.DeleteFunc(list, func(e entry) bool { return e.t == x })
		}
		t.Repeat(map[string]func(*draw.T){
			"": func(t *draw.T) {
				at, ok := h.next()
				if n := first(); ok != (n >= 0) || ok && at != list[n].at {
					t.Fatalf("next is %v, %v; want %v", at, ok, list)
				}
				if len(h.heap) != len(list) {
					t.Fatalf("%d armed, want %d", len(h.heap), len(list))
				}
				for n, x := range h.heap {
					if x.pos != n+1 || n > 0 && h.less(n, (n-1)/2) {
						t.Fatalf("timer %d is out of place", n)
					}
				}
			},
			"set": func(t *draw.T) {
				x := draw.From(all).Draw(t, "timer")
				at := time.Duration(draw.Range(-3, 20).Draw(t, "at"))
				h.set(x, at)
				drop(x)
				seq++
				list = append(list, entry{x, at, seq})
			},
			"stop": func(t *draw.T) {
				x := draw.From(all).Draw(t, "timer")
				h.stop(x)
				h.stop(x)
				drop(x)
			},
			"due": func(t *draw.T) {
				now := time.Duration(draw.Range(-3, 20).Draw(t, "now"))
				got := h.due(now)
				n := first()
				if n >= 0 && list[n].at <= now {
					if got != list[n].t || got.pos != 0 {
						t.Fatalf("due at %v: %+v, want %+v", now, got, list[n])
					}
					drop(got)
				} else if got != nil {
					t.Fatalf("due at %v: %+v, want none of %v", now, got, list)
				}
			},
		})
	})
}

// TestWindowAgainstHistory compares the deque with the complete history of the value.
func TestWindowAgainstHistory(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		span := time.Duration(draw.Range(0, 12).Draw(t, "span"))
		var w window
		now := time.Duration(0)
		history := []sample{} // value held until end, oldest first
		current, since := 0, time.Duration(0)
		largest := func(at time.Duration) int {
			m := current
			for _, h := range history {
				if h.end > at-span {
					m = max(m, h.value)
				}
			}
			return m
		}
		for range draw.Range(1, 120).Draw(t, "steps") {
			now += time.Duration(draw.Range(0, 3).Draw(t, "dt"))
			if draw.Range(0, 40).Draw(t, "reset") == 0 {
				w.reset(now)
				history, since = nil, now
			}
			v := draw.Range(0, 9).Draw(t, "v")
			w.set(v, now)
			if v != current {
				if now > since {
					history = append(history, sample{current, now})
				}
				current, since = v, now
			}
			w.expire(now, span)
			if got, want := w.max(), largest(now); got != want {
				t.Fatalf("at %v: largest %d, want %d of %v and %d", now, got, want, history, current)
			}
			limit := draw.Range(0, 9).Draw(t, "limit")
			at, ok := w.fallsTo(limit, span)
			if ok != (current <= limit) {
				t.Fatalf("falls to %d: %v with %d", limit, ok, current)
			}
			if ok && largest(max(at, now)) > limit {
				t.Fatalf("the maximum is not %d or less at %v: %v", limit, at, history)
			}
			if ok && at > now && largest(at-1) <= limit {
				t.Fatalf("the maximum is %d or less before %v", limit, at)
			}
		}
	})
}

// TestWindowStaysSmall: a value that changes for a long time needs little memory.
func TestWindowStaysSmall(t *testing.T) {
	var w window
	for n := range 1_000_000 {
		now := time.Duration(n)
		w.set(1000-n%1000, now)
		w.expire(now, 100)
	}
	if len(w.past) > 400 || cap(w.past) > 4096 {
		t.Errorf("%d values kept, capacity %d, for a span of 100 changes", len(w.past), cap(w.past))
	}
}

// TestNames: kinds have unique names, and unknown kinds are named as invalid.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for k := FactCreate; k <= FactPrepare; k++ {
		if n := k.String(); n == "" || n == "invalid" || seen[n] {
			t.Errorf("fact %d is called %q", k, n)
		}
		seen[k.String()] = true
	}
	for k := CmdIncrease; k <= CmdHeartbeat; k++ {
		if n := k.String(); n == "invalid" || seen["cmd "+n] {
			t.Errorf("command %d is called %q", k, n)
		}
		seen["cmd "+k.String()] = true
	}
	if (FactUnreachable+1).String() != "invalid" || CommandKind(0).String() != "invalid" {
		t.Error("unknown kinds have names")
	}
}

func TestDefaults(t *testing.T) {
	once := Config{}.WithDefaults()
	if twice := once.WithDefaults(); once != twice {
		t.Errorf("defaults of defaults: %+v, %+v", once, twice)
	}
	if once.Capacity != 1 || once.FailureThreshold != 3 || once.RequestedDeadline != 10*time.Minute || once.ReattachAfterDisconnect != 30*time.Second {
		t.Errorf("%+v", once)
	}
}
