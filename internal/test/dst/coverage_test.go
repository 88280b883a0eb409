package dst

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestCoverageGate: a starved run is told all that it lacks, a well-fed one nothing.
func TestCoverageGate(t *testing.T) {
	var c coverage
	rows := c.rows(10_000)
	if got := short(rows); len(got) != len(rows) || len(rows) < NumFaults+40 {
		t.Fatalf("nothing was reached, and %d of %d rows are short", len(got), len(rows))
	}
	for _, r := range rows {
		if want := map[bool]int{true: 100, false: 20}[r.share]; r.need != want {
			t.Errorf("%s %s needs %d in 10,000, want %d", r.group, r.name, r.need, want)
		}
	}
	for f := range c.faults {
		c.faults[f] = 100
	}
	for _, counts := range [][]int{c.kinds[:], c.retires[:], c.revokes[:], c.denials[:], c.waits[:], c.backs[:], c.held[:], c.others[:], c.judged[:]} {
		for n := range counts {
			counts[n] = 20
		}
	}
	for from := range c.moves {
		for to := range c.moves[from] {
			c.moves[from][to] = 20
		}
	}
	if got := short(c.rows(10_000)); len(got) > 0 {
		t.Errorf("all was reached, and %v are short", got)
	}
	c.faults[FaultListLags], c.moves[record.Lost][record.Creating], c.waits[record.CauseQuota] = 99, 19, 19
	if got := short(c.rows(10_000)); len(got) != 3 {
		t.Errorf("three are short by one, and %v are told", got)
	}
	if got := c.rows(100)[0].need; got != 1 {
		t.Errorf("a fault is needed %d times in 100 schedules, want 1", got)
	}
}

// TestStarvedRun: schedules whose faults end at once cannot cover much, and the report says so; few schedules are not judged.
func TestStarvedRun(t *testing.T) {
	starve := func(o *runOptions) {
		if o.journal = false; !o.small {
			o.calmFrom = 1
		}
	}
	r := Run(Options{Seeds: gateFrom, tune: starve})
	if !slices.ContainsFunc(r.Short, func(s string) bool { return strings.Contains(s, "commit stuck") }) || r.Violations > 0 {
		t.Errorf("%d violations; short: %v", r.Violations, r.Short)
	}
	if r := Run(Options{Seeds: 20, tune: starve}); len(r.Short) > 0 {
		t.Errorf("20 schedules are judged: %v", r.Short)
	}
}

// TestFaultTable: every fault has a name of its own, a chance and a sentence.
func TestFaultTable(t *testing.T) {
	seen := map[string]bool{}
	for f := range numFaults {
		i := faults[f]
		if i.name == "" || i.does == "" || i.rate <= 0 || i.rate > 0.5 || seen[i.name] {
			t.Errorf("fault %d: %+v", f, i)
		}
		seen[i.name] = true
	}
}

// causesIn are the causes that the sources of a package name.
func causesIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, f := range parsed(t, dir) {
		maps.Copy(found, causesOf(f))
	}
	return found
}

// causeNames are the names of the causes in pkg/record, in the order of their values.
func causeNames(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile("../../../pkg/record/cause.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(Cause\w+) `).FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
	}
	if record.Cause(len(names)).String() != "unknown" || record.Cause(len(names)-1).String() == "unknown" {
		t.Fatalf("%d names were read, which are not all", len(names))
	}
	return names
}

// TestEveryCauseIsWanted: each cause is a reason that the coverage wants, or one that the core never gives, which its source proves.
func TestEveryCauseIsWanted(t *testing.T) {
	wanted := map[record.Cause]bool{}
	for _, list := range [][]record.Cause{retireCauses, revokeCauses, denyCauses, waitCauses, backoffCauses, holdCauses, otherCauses} {
		for _, c := range list {
			wanted[c] = true
		}
	}
	used := causesIn(t, "../../../internal/scaler")
	for n, name := range causeNames(t) {
		c := record.Cause(n)
		never := neverReasons[c] != ""
		switch {
		case never == wanted[c]:
			t.Errorf("%s is wanted: %v, and never a reason: %v", name, wanted[c], never)
		case never && used[name]:
			t.Errorf("%s is said to be never a reason, and internal/scaler gives it", name)
		case !never && !used[name] && c != record.CauseChangedHostKey: // which the shell's events and its callers bring
			t.Errorf("%s is wanted, and internal/scaler never gives it", name)
		}
	}
}

// TestNobodyWaitsForConfirmation: the fallback of waitCause never holds, since whoever waits for no machine on its way is held back by a bound; and
// while no new work is taken nothing is needed, so that nothing is held back. All small fleets are tried.
func TestNobodyWaitsForConfirmation(t *testing.T) {
	tried := 0
	for _, s := range []policy.Settings{{}, {IdleCount: 1}, {IdleCount: 3}, {ScaleFactor: 0.5}, {ScaleFactor: 1.5, ScaleFactorMode: policy.FactorAdd, IdleCount: 1}} {
		for n := range 5 * 5 * 5 * 5 * 3 {
			waiters, standing, pending, leases, per := n%5, n/5%5, n/25%5, n/125%5, 1+n/625
			tried++
			// As demand in internal/scaler/size.go has it: while somebody waits, standing slots beyond the idle target are out of reach.
			free := standing + pending
			if waiters > 0 {
				free -= max(standing-policy.IdleTarget(s, leases, waiters), 0)
			}
			d := policy.Size(s, policy.Limits{Capacity: per}, policy.Demand{Leases: leases, Waiters: waiters, Free: free}, policy.Allowance{Throttle: -1})
			if d.BoundBy != policy.BoundNone {
				t.Fatalf("%+v: bound without a bound", d)
			}
			if booting := pending + d.Grow*per; booting < waiters {
				t.Fatalf("%d wait and %d slots boot: %+v", waiters, booting, d)
			}
			closed := policy.Size(policy.Settings{}, policy.Limits{Capacity: per}, policy.Demand{Leases: leases, Free: free}, policy.Allowance{Throttle: -1})
			if closed.Wanted > 0 {
				t.Fatalf("%d are wanted while no new work is taken", closed.Wanted)
			}
		}
	}
	if tried < 5000 {
		t.Fatalf("only %d fleets were tried", tried)
	}
}

// TestNeverMoves: no way leads to the states from which the moves of neverMoves start in truth. An instance whose delete was sent is deleting or
// gone, whatever happens; the core makes a lost one deleting only if its delete was sent.
func TestNeverMoves(t *testing.T) {
	type at struct {
		state record.State
		asked bool
	}
	seen := map[at]bool{}
	for queue := []at{{record.Creating, false}, {record.Unclaimed, false}}; len(queue) > 0; queue = queue[1:] {
		if seen[queue[0]] {
			continue
		}
		here := queue[0]
		seen[here] = true
		for to := record.Creating; to <= record.Unclaimed; to++ {
			if here.state == record.Lost && to == record.Deleting && !here.asked {
				continue // it returns instead: the core's own rule
			}
			if fleet.CanBecome(here.state, to) {
				queue = append(queue, at{to, here.asked || to == record.Deleting})
			}
		}
	}
	if seen[at{record.Lost, true}] || !seen[at{record.Lost, false}] || !seen[at{record.Gone, true}] {
		t.Errorf("reached: %v", slices.Collect(maps.Keys(seen)))
	}
	source, err := os.ReadFile("../../../internal/scaler/lists.go")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`func \(c \*Core\) returned[^}]*if m\.DeleteAsked \{\s*c\.redelete`).Match(source) {
		t.Error("returned no longer asks whether a delete was sent: neverMoves may be wrong")
	}
}

// TestMovesBetweenRecords: several moves of one batch are counted each.
func TestMovesBetweenRecords(t *testing.T) {
	var c coverage
	c.move(record.Ready, record.Deleting)
	c.move(0, record.Preparing)
	c.move(record.Lost, record.Deleting)
	c.move(record.Ready, record.Ready)
	c.move(0, record.Unclaimed)
	for _, m := range []struct {
		from, to record.State
		n        int
	}{{record.Ready, record.Draining, 1}, {record.Draining, record.Deleting, 2}, {record.Creating, record.Preparing, 1}, {record.Lost, record.Creating, 1},
		{record.Creating, record.Draining, 1}, {record.Lost, record.Deleting, 0}} {
		if got := c.moves[m.from][m.to]; got != m.n {
			t.Errorf("%s → %s: %d, want %d", m.from, m.to, got, m.n)
		}
	}
}

// TestEveryFactIsWanted: the table has a row for each kind of fact.
func TestEveryFactIsWanted(t *testing.T) {
	n := 0
	for k := scaler.FactKind(1); k.String() != "invalid"; k++ {
		n++
	}
	var c coverage
	got := 0
	for _, r := range c.rows(1) {
		if r.group == "fact" {
			got++
		}
	}
	if got != n || n >= numKinds || len(causeNames(t)) >= numCauses {
		t.Errorf("%d rows for %d kinds of facts", got, n)
	}
}
