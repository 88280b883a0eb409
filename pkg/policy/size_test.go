package policy

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/internal/draw"
)

const maxInt = math.MaxInt

func TestIdleTarget(t *testing.T) {
	for _, c := range []struct {
		name            string
		s               Settings
		leases, waiters int
		want            int
	}{
		{"no factor", Settings{IdleCount: 4}, 9, 4, 4},
		{"factor below idle_count", Settings{IdleCount: 4, ScaleFactor: 0.1}, 9, 4, 4},
		{"factor above idle_count", Settings{IdleCount: 4, ScaleFactor: 1.5}, 9, 4, 20},
		{"limit above idle_count", Settings{IdleCount: 4, ScaleFactor: 1.5, ScaleFactorLimit: 10}, 9, 4, 10},
		{"limit below idle_count never acts", Settings{IdleCount: 4, ScaleFactor: 1.5, ScaleFactorLimit: 3}, 9, 4, 4},
		{"add", Settings{IdleCount: 4, ScaleFactor: 1.5, ScaleFactorMode: FactorAdd}, 9, 4, 24},
		{"add with a limit", Settings{IdleCount: 4, ScaleFactor: 1.5, ScaleFactorLimit: 3, ScaleFactorMode: FactorAdd}, 9, 4, 7},
		{"add without demand", Settings{IdleCount: 4, ScaleFactor: 1.5, ScaleFactorMode: FactorAdd}, 0, 0, 4},
		{"add without a factor", Settings{IdleCount: 4, ScaleFactorMode: FactorAdd}, 9, 4, 4},
		{"a fraction rounds up", Settings{ScaleFactor: 0.1}, 1, 0, 1},
		{"a tiny fraction rounds up", Settings{ScaleFactor: 1e-12}, 1, 0, 1},
		{"1.1 × 50 is 55, whatever binary says", Settings{ScaleFactor: 1.1}, 50, 0, 55},
		{"1.1 × 51 is 57", Settings{ScaleFactor: 1.1}, 51, 0, 57},
		{"negative idle_count", Settings{IdleCount: -4}, 9, 4, 0},
		{"negative idle_count, add", Settings{IdleCount: -4, ScaleFactor: 1, ScaleFactorMode: FactorAdd}, 9, 4, 13},
		{"negative limit is none", Settings{ScaleFactor: 2, ScaleFactorLimit: -1}, 9, 4, 26},
		{"negative factor", Settings{IdleCount: 4, ScaleFactor: -1.5}, 9, 4, 4},
		{"no number", Settings{IdleCount: 4, ScaleFactor: math.NaN()}, 9, 4, 4},
		{"infinite", Settings{IdleCount: 4, ScaleFactor: math.Inf(1)}, 9, 4, maxInt},
		{"infinite with a limit", Settings{IdleCount: 4, ScaleFactor: math.Inf(1), ScaleFactorLimit: 8}, 9, 4, 8},
		{"infinite without demand", Settings{IdleCount: 4, ScaleFactor: math.Inf(1)}, 0, 0, 4},
		{"minus infinity", Settings{IdleCount: 4, ScaleFactor: math.Inf(-1)}, 9, 4, 4},
		{"saturates", Settings{IdleCount: maxInt, ScaleFactor: 1, ScaleFactorMode: FactorAdd}, maxInt, maxInt, maxInt},
		{"negative demand", Settings{ScaleFactor: 1}, -9, -4, 0},
	} {
		if got := IdleTarget(c.s, c.leases, c.waiters); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
		if d := Size(c.s, Limits{}, Demand{Leases: c.leases, Waiters: c.waiters}, Allowance{}); d.IdleTarget != c.want {
			t.Errorf("%s: Size says %d, want %d", c.name, d.IdleTarget, c.want)
		}
	}
}

func TestSize(t *testing.T) {
	four := Settings{IdleCount: 4}
	busy := Demand{Leases: 9, Waiters: 4, Free: 0, Existing: 14} // 8 slots are missing
	free := Allowance{Throttle: -1}
	for _, c := range []struct {
		name    string
		l       Limits
		d       Demand
		a       Allowance
		grow    int
		boundBy Bound
		text    string
	}{
		{"nothing missing", Limits{}, Demand{Leases: 9, Free: 4}, free, 0, BoundNone,
			"needed 13 = leased 9 + waiting 0 + idle target 4; supply 13; nothing to create"},
		{"more than enough", Limits{}, Demand{Leases: 9, Free: 9}, free, 0, BoundNone, "supply 18; nothing to create"},
		{"no bounds", Limits{}, busy, free, 8, BoundNone,
			"needed 17 = leased 9 + waiting 4 + idle target 4; supply 9; missing 8 = 8 instances of 1; grow 8"},
		{"one of 8", Limits{Capacity: 8}, busy, free, 1, BoundNone, "missing 8 = 1 instance of 8; grow 1"},
		{"capacity 3 rounds up", Limits{Capacity: 3}, busy, free, 3, BoundNone, "3 instances of 3"},
		{"capacity cut by uses", Limits{Capacity: 3, MaxUses: 2}, busy, free, 4, BoundNone, "4 instances of 2"},
		{"uses above capacity", Limits{Capacity: 3, MaxUses: 20}, busy, free, 3, BoundNone, "3 instances of 3"},
		{"capacity 0 is 1", Limits{Capacity: -2}, busy, free, 8, BoundNone, "8 instances of 1"},
		{"max_instances", Limits{MaxInstances: 20}, busy, free, 6, BoundMaxInstances, "max_instances leaves 6; grow 6, bound by max_instances"},
		{"max_instances just enough", Limits{MaxInstances: 22}, busy, free, 8, BoundNone, "max_instances leaves 8; grow 8"},
		{"beyond max_instances", Limits{MaxInstances: 10}, busy, free, 0, BoundMaxInstances, "max_instances leaves 0; grow 0"},
		{"provider", Limits{MaxInstances: 20, ProviderMax: 16}, busy, free, 2, BoundProviderMax, "provider_max leaves 2; grow 2"},
		{"provider at the largest int", Limits{MaxInstances: 20, ProviderMax: maxInt}, busy, free, 6, BoundMaxInstances, "max_instances leaves 6"},
		{"provider alone", Limits{ProviderMax: 15}, busy, free, 1, BoundProviderMax, "provider_max leaves 1"},
		{"throttle", Limits{MaxInstances: 20}, busy, Allowance{Throttle: 3}, 3, BoundThrottle,
			"max_instances leaves 6; throttle allowed 3; grow 3, bound by throttle"},
		{"throttle empty", Limits{}, busy, Allowance{}, 0, BoundThrottle, "throttle allowed 0; grow 0, bound by throttle"},
		{"throttle as tight as max_instances", Limits{MaxInstances: 20}, busy, Allowance{Throttle: 6}, 6, BoundMaxInstances, "grow 6"},
		{"blocked", Limits{MaxInstances: 20}, busy, Allowance{Throttle: 3, Blocked: true}, 0, BoundBlocked, "creates are paused; grow 0, bound by blocked"},
		{"blocked and full", Limits{MaxInstances: 14}, busy, Allowance{Throttle: 3, Blocked: true}, 0, BoundMaxInstances, "bound by max_instances"},
		{"a canary", Limits{MaxInstances: 20}, busy, Allowance{Throttle: 3, Breaker: true, Canaries: 1}, 1, BoundBreaker,
			"throttle allowed 3; the runaway breaker allowed 1; grow 1, bound by breaker"},
		{"a canary is under way", Limits{}, busy, Allowance{Throttle: 3, Breaker: true}, 0, BoundBreaker, "the runaway breaker allowed 0; grow 0, bound by breaker"},
		{"a canary in a pause", Limits{}, busy, Allowance{Throttle: 3, Breaker: true, Canaries: 1, Blocked: true}, 0, BoundBlocked, "bound by blocked"},
		{"one is all that is needed", Limits{}, Demand{Leases: 9, Waiters: 1, Free: 4}, Allowance{Throttle: 3, Breaker: true, Canaries: 1}, 1, BoundNone, "grow 1"},
		{"canaries of a closed breaker", Limits{}, busy, Allowance{Throttle: -1, Canaries: 1}, 8, BoundNone, "grow 8"},
		{"blocked with nothing to do", Limits{}, Demand{Free: 4}, Allowance{Blocked: true}, 0, BoundNone, "nothing to create"},
	} {
		d := Size(four, c.l, c.d, c.a)
		if d.Grow != c.grow || d.BoundBy != c.boundBy {
			t.Errorf("%s: grow %d bound by %s, want %d by %s", c.name, d.Grow, d.BoundBy, c.grow, c.boundBy)
		}
		if !strings.Contains(d.String(), c.text) {
			t.Errorf("%s: %q lacks %q", c.name, d, c.text)
		}
	}
}

// oracleSize is the sizing rule with unbounded integers.
func oracleSize(s Settings, l Limits, d Demand, a Allowance) (want Decision) {
	num := func(n int) *big.Int { return big.NewInt(int64(max(n, 0))) }
	plus := func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }
	smaller := func(a, b *big.Int) *big.Int {
		if a.Cmp(b) < 0 {
			return a
		}
		return b
	}
	cut := func(n *big.Int) int { // saturated, and at least 0
		if n.Sign() < 0 {
			return 0
		}
		return int(smaller(n, num(maxInt)).Int64())
	}
	demand := num(cut(plus(num(d.Leases), num(d.Waiters))))
	part := oracleProduct(s.ScaleFactor, demand)
	if s.ScaleFactorLimit > 0 {
		part = smaller(part, num(s.ScaleFactorLimit))
	}
	idle := num(s.IdleCount)
	if s.ScaleFactorMode == FactorAdd {
		idle = plus(idle, part)
	} else if part.Cmp(idle) > 0 {
		idle = part
	}
	idle = num(cut(idle))
	wantIdle := plus(num(d.Waiters), idle)
	want.IdleTarget, want.Factor = cut(idle), cut(part)
	want.Needed = cut(plus(num(d.Leases), wantIdle))
	want.Supply = cut(plus(num(d.Leases), num(d.Free)))
	missing := smaller(wantIdle, num(maxInt))
	missing = new(big.Int).Sub(missing, num(d.Free))
	want.Missing = cut(missing)
	per := max(l.Capacity, 1)
	if l.MaxUses > 0 && l.MaxUses < per {
		per = l.MaxUses
	}
	want.PerInstance = per
	if n := num(want.Missing); n.Sign() > 0 { // whole instances, plus one for the remainder
		q, r := new(big.Int).QuoRem(n, num(per), new(big.Int))
		if r.Sign() > 0 {
			q = plus(q, num(1))
		}
		want.Wanted = cut(q)
	}
	bounds := []int{want.Wanted, maxInt, maxInt, maxInt, maxInt, maxInt}
	if l.MaxInstances > 0 {
		bounds[BoundMaxInstances] = cut(new(big.Int).Sub(num(l.MaxInstances), num(d.Existing)))
	}
	if l.ProviderMax > 0 {
		bounds[BoundProviderMax] = cut(new(big.Int).Sub(num(l.ProviderMax), num(d.Existing)))
	}
	if a.Throttle >= 0 {
		bounds[BoundThrottle] = a.Throttle
	}
	if a.Breaker {
		bounds[BoundBreaker] = max(a.Canaries, 0)
	}
	if a.Blocked {
		bounds[BoundBlocked] = 0
	}
	want.Grow = bounds[0]
	for i, b := range bounds {
		if b < want.Grow {
			want.Grow, want.BoundBy = b, Bound(i)
		}
	}
	return want
}

// oracleProduct is ⌈factor × n⌉, with the factor as the decimal that was written.
func oracleProduct(factor float64, n *big.Int) *big.Int {
	if !(factor > 0) || n.Sign() == 0 {
		return new(big.Int)
	}
	if math.IsInf(factor, 1) {
		return new(big.Int).Lsh(big.NewInt(1), 200)
	}
	decimal, _ := new(big.Rat).SetString(strconv.FormatFloat(factor, 'g', -1, 64))
	product := decimal.Mul(decimal, new(big.Rat).SetInt(n))
	ceil, rest := new(big.Int).QuoRem(product.Num(), product.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		ceil.Add(ceil, big.NewInt(1))
	}
	return ceil
}

// genCount draws usual, odd and extreme counts.
func genCount(t *draw.T, label string) int {
	switch draw.Range(0, 9).Draw(t, label+" kind") {
	case 0:
		return draw.From([]int{0, -1, math.MinInt, maxInt, maxInt - 1, maxInt / 2, maxInt/2 + 1}).Draw(t, label)
	case 1:
		return 0
	}
	return draw.Range(0, 5000).Draw(t, label)
}

func TestSizeAgainstOracle(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		s := Settings{IdleCount: genCount(t, "idle"), ScaleFactorLimit: genCount(t, "limit"),
			ScaleFactorMode: draw.From([]FactorMode{FactorMax, FactorAdd}).Draw(t, "mode")}
		l := Limits{genCount(t, "capacity"), genCount(t, "max instances"), genCount(t, "provider max"), genCount(t, "max uses")}
		d := Demand{genCount(t, "leases"), genCount(t, "waiters"), genCount(t, "free"), genCount(t, "existing")}
		a := Allowance{Throttle: genCount(t, "throttle"), Blocked: draw.Range(0, 4).Draw(t, "blocked") == 0,
			Breaker: draw.Range(0, 3).Draw(t, "breaker") == 0, Canaries: draw.Range(-1, 1).Draw(t, "canaries")}
		switch draw.Range(0, 3).Draw(t, "factor kind") {
		case 0:
			s.ScaleFactor = draw.From([]float64{0, -1.5, math.NaN(), math.Inf(1), math.Inf(-1), 1e300, math.MaxFloat64}).Draw(t, "factor")
		case 1: // extremes of demand meet only factors whose product a float64 holds: other products are equal but for rounding
			s.ScaleFactor = draw.From([]float64{1e30, 2}).Draw(t, "factor")
			if d.Leases > 5000 || d.Waiters > 5000 {
				s.ScaleFactor = 1e30
			}
		default:
			s.ScaleFactor = float64(draw.Range(1, 5000).Draw(t, "thousandths")) / 1000
			if d.Leases > 5000 || d.Waiters > 5000 {
				d.Leases, d.Waiters = d.Leases%5000, d.Waiters%5000
			}
		}
		got, want := Size(s, l, d, a), oracleSize(s, l, d, a)
		compare := got
		compare.Leases, compare.Waiters, compare.Free, compare.Existing = 0, 0, 0, 0
		compare.Room, compare.RoomBy, compare.Allowed, compare.Blocked = 0, 0, 0, false
		compare.Breaker, compare.Canaries = false, 0
		if compare != want {
			t.Fatalf("got %+v\nwant %+v", compare, want)
		}
		if got.Leases != max(d.Leases, 0) || got.Waiters != max(d.Waiters, 0) || got.Free != max(d.Free, 0) ||
			got.Existing != max(d.Existing, 0) || got.Allowed != max(a.Throttle, -1) || got.Blocked != a.Blocked ||
			got.Breaker != a.Breaker || a.Breaker && got.Canaries != max(a.Canaries, 0) {
			t.Fatalf("inputs are not in the decision: %+v", got)
		}
		if (got.Room < 0) != (l.MaxInstances <= 0 && l.ProviderMax <= 0) || (got.Room < 0) != (got.RoomBy == BoundNone) {
			t.Fatalf("room %d by %s", got.Room, got.RoomBy)
		}
		if got.String() == "" {
			t.Fatal("String returns an empty text")
		}
	})
}

// TestFactorIsDecimal: factors with up to three decimals times many demands give the exact decimal result.
func TestFactorIsDecimal(t *testing.T) {
	for thousandths := 1; thousandths <= 3000; thousandths += 7 {
		s := Settings{ScaleFactor: float64(thousandths) / 1000}
		for n := 1; n <= 3000; n += 11 {
			if got, want := IdleTarget(s, n, 0), (thousandths*n+999)/1000; got != want {
				t.Fatalf("%v × %d: got %d, want %d", s.ScaleFactor, n, got, want)
			}
		}
	}
}

// TestSizeSettles: when the requested instances have arrived, nothing more is requested.
func TestSizeSettles(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		s := Settings{IdleCount: draw.Range(0, 50).Draw(t, "idle"), ScaleFactor: draw.FloatRange(0, 3).Draw(t, "factor")}
		l := Limits{Capacity: draw.Range(0, 9).Draw(t, "capacity"), MaxUses: draw.Range(0, 9).Draw(t, "uses")}
		d := Demand{Leases: draw.Range(0, 99).Draw(t, "leases"), Waiters: draw.Range(0, 99).Draw(t, "waiters")}
		first := Size(s, l, d, Allowance{Throttle: -1})
		d.Free += first.Grow * first.PerInstance
		d.Existing += first.Grow
		if again := Size(s, l, d, Allowance{Throttle: -1}); again.Grow != 0 {
			t.Fatalf("first %v, then %v", first, again)
		}
		if d.Free -= first.PerInstance; first.Grow > 0 && Size(s, l, d, Allowance{Throttle: -1}).Grow != 1 {
			t.Fatalf("one instance fewer was enough: %v", first)
		}
	})
}

func TestBoundNames(t *testing.T) {
	for b, want := range map[Bound]string{BoundNone: "none", BoundMaxInstances: "max_instances", BoundProviderMax: "provider_max",
		BoundThrottle: "throttle", BoundBlocked: "blocked", 99: "bound(99)"} {
		if b.String() != want {
			t.Errorf("%d: got %q, want %q", b, b, want)
		}
	}
}

// TestSizeIsMonotonic: more demand never requests less; more supply or tighter bounds never request more.
func TestSizeIsMonotonic(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		s := Settings{IdleCount: genCount(t, "idle"), ScaleFactor: draw.FloatRange(0, 3).Draw(t, "factor"),
			ScaleFactorLimit: genCount(t, "limit"), ScaleFactorMode: draw.From([]FactorMode{FactorMax, FactorAdd}).Draw(t, "mode")}
		l := Limits{Capacity: genCount(t, "capacity"), MaxInstances: 1 + max(genCount(t, "max instances"), 0)/2, MaxUses: genCount(t, "uses")}
		d := Demand{genCount(t, "leases"), genCount(t, "waiters"), genCount(t, "free"), genCount(t, "existing")}
		a := Allowance{Throttle: max(genCount(t, "throttle"), 0)}
		base := Size(s, l, d, a)
		more := func(n int) int {
			if n > maxInt-3 {
				return maxInt
			}
			return max(n, 0) + 3
		}
		check := func(what string, atLeast bool, s Settings, l Limits, d Demand, a Allowance) {
			if got := Size(s, l, d, a); atLeast && got.Grow < base.Grow || !atLeast && got.Grow > base.Grow {
				t.Fatalf("%s: %v\nbefore: %v", what, got, base)
			}
		}
		with := d
		with.Waiters = more(d.Waiters)
		check("more waiters", true, s, l, with, a)
		with = d
		with.Leases = more(d.Leases)
		check("more leases", true, s, l, with, a)
		with = d
		with.Free = more(d.Free)
		check("more free slots", false, s, l, with, a)
		with = d
		with.Existing = more(d.Existing)
		check("more instances", false, s, l, with, a)
		wider, looser, eager := l, a, s
		wider.MaxInstances = more(l.MaxInstances)
		check("a higher max_instances", true, s, wider, d, a)
		looser.Throttle = more(a.Throttle)
		check("a fuller throttle", true, s, l, d, looser)
		eager.IdleCount = more(s.IdleCount)
		check("a higher idle_count", true, eager, l, d, a)
		wider = l
		wider.Capacity = more(l.Capacity)
		check("a higher capacity", false, s, wider, d, a)
		looser = a
		looser.Blocked = true
		if got := Size(s, l, d, looser); got.Grow != 0 || got.Wanted != base.Wanted {
			t.Fatalf("blocked: %v\nbefore: %v", got, base)
		}
		if base.Grow > base.Wanted || base.Grow < 0 || (base.Grow < base.Wanted) != (base.BoundBy != BoundNone) {
			t.Fatalf("grow %d of %d wanted, bound by %s", base.Grow, base.Wanted, base.BoundBy)
		}
	})
}
