package cloudmodel

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
)

func newCloud(t testing.TB, cfg Config) *Cloud {
	t.Helper()
	c, err := New(cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLifeOfAnInstance(t *testing.T) {
	c := newCloud(t, Config{Boot: Constant(30 * time.Second), Delete: Constant(5 * time.Second)})
	if r := c.Create(time.Second, 2); r.First != 1 || r.Made != 2 || r.Told != 2 || r.Failure.Failed() {
		t.Fatalf("Create = %+v", r)
	}
	if at, ok := c.Next(); !ok || at != 31*time.Second {
		t.Fatalf("Next = %v, %v, want 31s", at, ok)
	}
	if got := c.Advance(30*time.Second, nil); len(got) != 0 {
		t.Fatalf("events before the boot ends: %v", got)
	}
	want := []Event{{31 * time.Second, 1, BecameRunning}, {31 * time.Second, 2, BecameRunning}}
	if got := c.Advance(40*time.Second, nil); !slices.Equal(got, want) {
		t.Fatalf("events = %v, want %v", got, want)
	}
	if r := c.Delete(50*time.Second, 1); !r.Known || r.Failure.Failed() {
		t.Fatalf("Delete = %+v", r)
	}
	if s, ok := c.State(1); s != Deleting || !ok {
		t.Fatalf("State(1) = %v, %v", s, ok)
	}
	c.Delete(54*time.Second, 1) // a second request does not delay it
	want = []Event{{55 * time.Second, 1, WasDeleted}}
	if got := c.Advance(time.Minute, nil); !slices.Equal(got, want) {
		t.Fatalf("events = %v, want %v", got, want)
	}
	if r := c.Delete(time.Minute, 1); r.Known || r.Failure.Failed() {
		t.Fatalf("Delete of an instance that is gone = %+v, want unknown and no failure", r)
	}
	if _, ok := c.Next(); ok || c.alive != 1 {
		t.Errorf("Next reports an event, or alive = %d, want no event and 1", c.alive)
	}
}

func TestSameLuckWhateverTheCalls(t *testing.T) {
	cfg := Config{Boot: Exponential(time.Minute), Spot: Spot{ReclaimPerHour: 2}, BootFailure: BootFailure{Probability: 0.2}}
	a, b := newCloud(t, cfg), newCloud(t, cfg)
	a.Create(0, 50)
	for i := range 50 {
		b.Create(time.Duration(i)*time.Second, 1)
		b.Delete(time.Duration(i)*time.Second, uint64(i))
	}
	for n := uint64(1); n <= 50; n++ {
		if a.Fate(n) != b.Fate(n) {
			t.Fatalf("fate of instance %d depends on the calls before it", n)
		}
	}
}

func TestBootFailureModes(t *testing.T) {
	for _, tc := range []struct {
		mode string
		want []Event
	}{
		{FailHang, nil},
		{"", nil},
		{FailTimeout, []Event{{20 * time.Second, 1, BootFailed}}},
		{FailVanish, []Event{{20 * time.Second, 1, Died}}},
		{FailDie, []Event{{10 * time.Second, 1, BecameRunning}, {30 * time.Second, 1, Died}}},
	} {
		c := newCloud(t, Config{Boot: Constant(10 * time.Second),
			BootFailure: BootFailure{Probability: 1, Mode: tc.mode, After: Constant(20 * time.Second)}})
		c.Create(0, 1)
		if got := c.Advance(time.Hour, nil); !slices.Equal(got, tc.want) {
			t.Errorf("%q: events %v, want %v", tc.mode, got, tc.want)
		}
		c.Delete(time.Hour, 1)
		c.Advance(time.Hour, nil)
		if c.alive != 0 {
			t.Errorf("%q: the instance could not be deleted", tc.mode)
		}
	}
}

// TestDiesWithoutNotice: an instance that dies soon after its boot is gone at once, also in a group whose instances are reclaimed with a notice.
func TestDiesWithoutNotice(t *testing.T) {
	c := newCloud(t, Config{
		Boot: Constant(10 * time.Second), BootFailure: BootFailure{Probability: 1, Mode: FailDie, After: Constant(time.Second)},
		Spot: Spot{ReclaimPerHour: 1e-6, Notice: D(2 * time.Minute)},
	})
	c.Create(0, 1)
	want := []Event{{10 * time.Second, 1, BecameRunning}, {11 * time.Second, 1, Died}}
	if got := c.Advance(time.Hour, nil); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

func TestShareOfFailedBoots(t *testing.T) {
	c := newCloud(t, Config{BootFailure: BootFailure{Probability: 0.1}})
	const n = 100000
	failed := 0
	for i := range uint64(n) {
		if c.Fate(i).Boot == Never {
			failed++
		}
	}
	if share := float64(failed) / n; math.Abs(share-0.1) > 4*math.Sqrt(0.09/n) {
		t.Errorf("share of failed boots = %.4f, want 0.1", share)
	}
}

func TestSpotHazard(t *testing.T) {
	c := newCloud(t, Config{Boot: Constant(time.Minute), Spot: Spot{ReclaimPerHour: 0.5, Notice: D(2 * time.Minute)}})
	const n = 20000
	lives := make([]time.Duration, n)
	for i := range lives {
		lives[i] = c.Fate(uint64(i)).Life
	}
	if d := ksDistance(lives, func(x float64) float64 { return 1 - math.Exp(-x/7200) }); d > 1.95/math.Sqrt(n) {
		t.Errorf("lifetimes are not exponential with a mean of 2 h: KS distance %.4f", d)
	}
	c.Create(0, 1)
	life := c.Fate(1).Life
	want := []Event{{time.Minute, 1, BecameRunning}, {time.Minute + life, 1, ReclaimBegan}, {3*time.Minute + life, 1, WasReclaimed}}
	if got := c.Advance(1000*time.Hour, nil); !slices.Equal(got, want) {
		t.Errorf("events = %v, want %v", got, want)
	}
}

func TestCreateRefusals(t *testing.T) {
	window := Window{From: D(time.Minute), Until: D(2 * time.Minute)}
	always := func(kind string) CreateError {
		return CreateError{CallFailure: CallFailure{Probability: 1, Kind: kind, RetryAfter: D(time.Second)}}
	}
	lost := always("")
	lost.Created = true
	early := always("config")
	early.Window = window
	for _, tc := range []struct {
		name       string
		cfg        Config
		at         time.Duration
		made, told int
		kind       failure.Kind
	}{
		{"none", Config{}, 0, 4, 4, failure.None},
		{"throttled", Config{CreateErrors: []CreateError{always("throttled")}}, 0, 0, 0, failure.Throttled},
		{"capacity", Config{CreateErrors: []CreateError{always("capacity")}}, 0, 0, 0, failure.Capacity},
		{"answer lost", Config{CreateErrors: []CreateError{lost}}, 0, 4, 0, failure.Transient},
		{"before its window", Config{CreateErrors: []CreateError{early}}, 0, 4, 4, failure.None},
		{"in its window", Config{CreateErrors: []CreateError{early}}, time.Minute, 0, 0, failure.Config},
		{"stock-out", Config{StockOut: StockOut{Windows: []Window{window}}}, time.Minute, 0, 0, failure.Capacity},
		{"after the stock-out", Config{StockOut: StockOut{Windows: []Window{window}}}, 2 * time.Minute, 4, 4, failure.None},
		{"quota", Config{Quota: Quota{Limit: 3}}, 0, 3, 3, failure.Quota},
		{"a window without any quota", Config{Quota: Quota{Limit: 3, Windows: []QuotaWindow{{Window: window}}}}, time.Minute, 0, 0, failure.Quota},
		{"max size", Config{MaxSize: 2}, 0, 2, 2, failure.Quota},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCloud(t, tc.cfg)
			r := c.Create(tc.at, 4)
			if r.Made != tc.made || r.Told != tc.told || r.Failure.Kind != tc.kind || c.alive != tc.made {
				t.Errorf("Create(4) = %+v and %d exist, want made %d, told %d, %v", r, c.alive, tc.made, tc.told, tc.kind)
			}
			if r.Failure.Failed() && r.Failure.Message == "" {
				t.Error("a failure without a message")
			}
			if r.Failure.Kind == failure.Throttled && r.Failure.RetryAfter != time.Second {
				t.Errorf("RetryAfter = %v, want 1s", r.Failure.RetryAfter)
			}
		})
	}
}

func TestQuotaThatShrinksTakesNothingAway(t *testing.T) {
	c := newCloud(t, Config{Quota: Quota{Limit: 10, Windows: []QuotaWindow{{Window: Window{From: D(time.Minute)}, Limit: 2}}}})
	if r := c.Create(0, 5); r.Made != 5 {
		t.Fatalf("made %d, want 5", r.Made)
	}
	if r := c.Create(time.Minute, 1); r.Made != 0 || r.Failure.Kind != failure.Quota || c.alive != 5 {
		t.Fatalf("Create = %+v with %d instances, want a quota failure and all 5 kept", r, c.alive)
	}
	for n := uint64(1); n <= 4; n++ {
		c.Delete(time.Minute, n)
	}
	if r := c.Create(2*time.Minute, 3); r.Made != 1 || r.Failure.Kind != failure.Quota {
		t.Errorf("Create = %+v, want 1 made and a quota failure for the rest", r)
	}
}

func TestPartialCreates(t *testing.T) {
	c := newCloud(t, Config{Partial: Partial{Probability: 0.5}})
	counts := map[int]int{}
	for range 4000 {
		r := c.Create(0, 4)
		counts[r.Made]++
		if failed := r.Failure.Kind == failure.Capacity; failed != (r.Made < 4) {
			t.Fatalf("made %d with failure %v", r.Made, r.Failure.Kind)
		}
	}
	for made, want := range map[int]float64{0: 500, 1: 500, 2: 500, 3: 500, 4: 2000} {
		if got := float64(counts[made]); math.Abs(got-want) > 120 {
			t.Errorf("%d instances made %v times of 4000, want about %v", made, got, want)
		}
	}
}

func TestSlowCallsSayHowLong(t *testing.T) {
	c := newCloud(t, Config{SlowCall: SlowCall{Probability: 0.5, Delay: Constant(3 * time.Second)}})
	var slow [3]int
	for range 1000 {
		_, l := c.List(0, nil)
		for i, d := range []time.Duration{c.Create(0, 1).Delay, c.Delete(0, c.Counters().Instances).Delay, l.Delay} {
			switch d {
			case 3 * time.Second:
				slow[i]++
			case 0:
			default:
				t.Fatalf("delay %v, want 0 or 3s", d)
			}
		}
	}
	for i, n := range slow {
		if n < 430 || n > 570 {
			t.Errorf("operation %d: %d of 1000 calls were slow, want about 500", i, n)
		}
	}
}

func TestDeleteRefusals(t *testing.T) {
	c := newCloud(t, Config{DeleteFailure: CallFailure{Probability: 0.5, Kind: "throttled"}})
	c.Create(0, 1)
	tries := 1
	for c.Delete(0, 1).Failure.Kind == failure.Throttled {
		if s, _ := c.State(1); s == Deleting {
			t.Fatal("a refused delete was carried out")
		}
		if tries++; tries > 100 {
			t.Fatal("refused a hundred times at a probability of 0.5")
		}
	}
	c.Advance(0, nil)
	if c.alive != 0 {
		t.Error("the delete that was accepted was not carried out")
	}
}

func TestListsThatLagFailAndLeaveOut(t *testing.T) {
	c := newCloud(t, Config{List: List{Lag: D(10 * time.Second)}})
	c.Create(5*time.Second, 1)
	c.Delete(20*time.Second, 1)
	for at, want := range map[time.Duration]int{5 * time.Second: 0, 14 * time.Second: 0, 15 * time.Second: 1, 29 * time.Second: 1, 30 * time.Second: 0} {
		fresh := newCloud(t, c.cfg)
		fresh.Create(5*time.Second, 1)
		if at >= 20*time.Second {
			fresh.Delete(20*time.Second, 1)
		}
		if list, _ := fresh.List(at, nil); len(list) != want {
			t.Errorf("at %v the list shows %d, want %d", at, len(list), want)
		}
	}
	c = newCloud(t, Config{List: List{Failure: CallFailure{Probability: 1}, Keep: 0.5}})
	c.Create(0, 10)
	if list, l := c.List(0, nil); len(list) != 5 || l.Failure.Kind != failure.Transient {
		t.Errorf("an incomplete list shows %d and %v, want the first 5 of 10 and a failure", len(list), l.Failure.Kind)
	}
	c = newCloud(t, Config{List: List{Omit: 0.1}})
	c.Create(0, 10000)
	first, l := c.List(0, nil)
	second, _ := c.List(0, nil)
	if n := len(first); n < 8800 || n > 9200 || l.Failure.Failed() || slices.Equal(first, second) {
		t.Errorf("a list that omits instances shows %d of 10000 (want about 9000) with %v; two lists equal: %v", n, l.Failure, slices.Equal(first, second))
	}
}

func TestRestoreContinues(t *testing.T) {
	cfg := Config{Boot: Exponential(time.Minute), Delete: Constant(time.Minute), Spot: Spot{ReclaimPerHour: 10}}
	whole := newCloud(t, cfg)
	whole.Create(0, 5)
	whole.Advance(30*time.Second, nil)
	whole.Delete(40*time.Second, 2)
	again := newCloud(t, cfg)
	again.SetCounters(whole.Counters())
	for _, n := range []uint64{4, 1, 3, 5} { // in any order
		again.Restore(n, 0, Never, whole.Fate(n))
	}
	again.Restore(2, 0, 40*time.Second, whole.Fate(2))
	again.Restore(2, 0, Never, whole.Fate(2)) // exists already
	again.Advance(40*time.Second, nil)
	whole.Advance(40*time.Second, nil)
	want := whole.Advance(time.Hour, nil)
	if got := again.Advance(time.Hour, nil); !slices.Equal(got, want) {
		t.Errorf("events after a restart %v, want %v", got, want)
	}
	if a, b := again.Create(time.Hour, 1), whole.Create(time.Hour, 1); a != b || a.First != 6 {
		t.Errorf("Create after a restart = %+v, want %+v with number 6", a, b)
	}
}

func TestTimeNeverGoesBack(t *testing.T) {
	c := newCloud(t, Config{Boot: Constant(time.Second)})
	c.Create(time.Minute, 1)
	c.Create(0, 1) // counts as now
	want := []Event{{61 * time.Second, 1, BecameRunning}, {61 * time.Second, 2, BecameRunning}}
	if got := c.Advance(time.Hour, nil); !slices.Equal(got, want) {
		t.Errorf("events = %v, want %v", got, want)
	}
}

func TestWindows(t *testing.T) {
	night := Window{From: D(22 * time.Hour), Until: D(24 * time.Hour), Every: D(24 * time.Hour)}
	for at, want := range map[time.Duration]bool{0: false, 22 * time.Hour: true, 24 * time.Hour: false, 47 * time.Hour: true, 48 * time.Hour: false} {
		if got := night.contains(at); got != want {
			t.Errorf("contains(%v) = %v, want %v", at, got, want)
		}
	}
	if !(Window{}).contains(time.Hour) {
		t.Error("the zero Window must always be open")
	}
}

func TestPrices(t *testing.T) {
	for _, tc := range []struct {
		p    Price
		life time.Duration
		want float64
	}{
		{Price{PerHour: 3.6}, 1500 * time.Millisecond, 0.002},
		{Price{PerHour: 3.6, Minimum: D(time.Minute)}, time.Second, 0.06},
		{Price{PerHour: 6, Billing: "minute"}, 61 * time.Second, 0.2},
		{Price{PerHour: 6, Billing: "minute", Minimum: D(90 * time.Second)}, time.Second, 0.2}, // the minimum is rounded up too
		{Price{PerHour: 2, Billing: "hour"}, time.Hour, 2},
		{Price{PerHour: 2, Billing: "hour"}, time.Hour + 1, 4},
		{Price{PerHour: 1, Billing: "day"}, time.Minute, 24},
		{Price{PerHour: 1, Billing: "day"}, 0, 0},
	} {
		if got := tc.p.Cost(tc.life); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("%+v: %v costs %v, want %v", tc.p, tc.life, got, tc.want)
		}
	}
}

func TestConfigFaultsNameTheirKey(t *testing.T) {
	bad := Config{
		MaxSize: -1, Boot: Distribution{Kind: "gauss"}, BootFailure: BootFailure{Probability: 2, Mode: "explode"},
		Delete: LogNormal(2, 1), DeleteFailure: CallFailure{Probability: math.NaN()},
		CreateErrors: []CreateError{{}, {CallFailure: CallFailure{Kind: "none"}}},
		StockOut:     StockOut{Windows: []Window{{From: D(2), Until: D(1)}}}, Quota: Quota{Limit: -1, Windows: []QuotaWindow{{Limit: -1}}},
		Partial: Partial{Probability: -1, Kind: "unhealthy"}, SlowCall: SlowCall{Probability: 1.5},
		List: List{Lag: D(-1), Keep: 2, Omit: 2, Failure: CallFailure{RetryAfter: D(-1)}},
		Spot: Spot{ReclaimPerHour: math.Inf(1), Notice: D(-1)}, Price: Price{PerHour: -1, Billing: "week", Minimum: D(-1)},
	}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no fault")
	}
	for _, key := range []string{"max_size", "boot.distribution", "boot_failure.probability", "boot_failure.mode", "delete.p95",
		"delete_failure.probability", "create_errors[1].kind", "stockout.windows[0].until", "quota.limit", "quota.windows[0].limit",
		"partial.probability", "partial.kind", "slow_call.probability", "list.lag", "list.keep", "list.omit", "list.failure.retry_after",
		"spot.reclaim_per_hour", "spot.notice", "price.per_hour", "price.billing", "price.minimum"} {
		if !strings.Contains("\n"+err.Error(), "\n"+key+": ") {
			t.Errorf("no fault for %s in:\n%v", key, err)
		}
	}
	if _, newErr := New(bad, 1); newErr == nil || newErr.Error() != err.Error() {
		t.Errorf("New returns %v", newErr)
	}
	every := Config{StockOut: StockOut{Windows: []Window{{From: D(5), Every: D(3)}}}}
	if err := every.Validate(); err == nil || !strings.Contains(err.Error(), "windows[0].every: ") {
		t.Errorf("a window beyond its period: %v", err)
	}
}

func FuzzConfigJSON(f *testing.F) {
	f.Add([]byte(`{"boot":{"distribution":"lognormal","p50":"20s","p95":"1m"},"spot":{"reclaim_per_hour":1}}`))
	f.Add([]byte(`{"create_errors":[{"probability":0.1,"kind":"quota","from":"1m","created":true}],"max_size":3}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var cfg Config
		if json.Unmarshal(raw, &cfg) != nil {
			return
		}
		c, err := New(cfg, 1)
		if err != nil {
			return
		}
		for i := range 20 {
			now := time.Duration(i) * time.Minute
			c.Create(now, 3)
			c.Delete(now, uint64(i))
			c.List(now, nil)
			c.Advance(now, nil)
		}
		if c.alive > 60 {
			t.Fatalf("%d instances of 60 creates", c.alive)
		}
	})
}

func BenchmarkLifeAtFleetSize(b *testing.B) {
	for _, size := range []int{1000, 100000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			c := newCloud(b, Config{Boot: LogNormal(30*time.Second, 90*time.Second), Delete: Exponential(10 * time.Second)})
			c.Create(0, size)
			var events []Event
			now := time.Duration(0)
			b.ReportAllocs()
			for b.Loop() { // one instance per round: created, running, deleted, gone
				now += time.Second
				r := c.Create(now, 1)
				c.Delete(now, r.First-uint64(size))
				events = c.Advance(now, events[:0])
			}
		})
	}
}

func TestProviderWords(t *testing.T) {
	for state, want := range map[State]string{none: "deleted", Creating: "creating", Running: "running", Failed: "timeout", Deleting: "deleting"} {
		if got := state.ProviderWord(); got != want {
			t.Errorf("%v: got %q, want %q", state, got, want)
		}
	}
}
