package dst

import (
	"fmt"
	"slices"
	"strings"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
)

// numCauses and numKinds leave room for causes and facts to come.
const (
	numCauses = 64
	numKinds  = 48
	numStates = int(fleet.Unclaimed) + 1
)

// coverage counts what a schedule, or a whole run, reached.
type coverage struct {
	faults  [numFaults]int // a schedule: occurrences; a run: schedules in which it occurred
	moves   [numStates][numStates]int
	kinds   [numKinds]int
	retires [numCauses]int // why instances went
	revokes [numCauses]int // why leases ended against their callers' will
	denials [numCauses]int
	waits   [numCauses]int
	backs   [numCauses]int // why creates were held off
	others  [numCauses]int // causes of other facts
	lives   int
	copies  int            // snapshots that a core was made of
	held    [numCauses]int // why creates that are needed are held back
}

// path[a][b] is the shortest legal way from a to b, a and b included.
func legalPaths() (path [numStates][numStates][]fleet.State) {
	for from := fleet.Creating; from <= fleet.Unclaimed; from++ {
		path[from][from] = []fleet.State{from}
		for queue := []fleet.State{from}; len(queue) > 0; queue = queue[1:] {
			at := queue[0]
			for to := fleet.Creating; to <= fleet.Unclaimed; to++ {
				if at.CanBecome(to) && path[from][to] == nil {
					path[from][to] = append(slices.Clone(path[from][at]), to)
					queue = append(queue, to)
				}
			}
		}
	}
	return path
}

var paths = legalPaths()

// move counts the moves between two committed records of one machine. A batch may have made several: then they are those of the shortest
// legal way. from is 0 where there was no record of this machine.
func (c *coverage) move(from, to fleet.State) {
	if from == 0 {
		if from = fleet.Creating; to == fleet.Unclaimed {
			return
		}
	}
	if from == fleet.Lost && to == fleet.Deleting { // it came back, was taken in, and had to go: see neverMoves
		c.moves[from][fleet.Creating]++
		from = fleet.Creating
	}
	way := paths[from][to]
	for n := 1; n < len(way); n++ {
		c.moves[way[n-1]][way[n]]++
	}
}

// fact counts a fact and its cause.
func (c *coverage) fact(f *scaler.Fact) {
	c.kinds[f.Kind]++
	switch f.Kind {
	case scaler.FactRetire, scaler.FactLost:
		c.retires[f.Cause]++
	case scaler.FactWait:
		c.waits[f.Cause]++
	case scaler.FactRefused:
		c.backs[f.Cause]++
	case scaler.FactFruitless:
		c.backs[fleet.CauseBackoff]++
		c.others[f.Cause]++
	case scaler.FactHold:
		c.held[f.Cause]++
	case scaler.FactRevoke, scaler.FactDeny:
	default:
		c.others[f.Cause]++
	}
}

// add counts one schedule into a run.
func (c *coverage) add(o *coverage) {
	for f := range c.faults {
		if o.faults[f] > 0 {
			c.faults[f]++
		}
	}
	c.merge(o)
}

// merge adds everything but the faults.
func (c *coverage) merge(o *coverage) {
	for a := range c.moves {
		for b := range c.moves[a] {
			c.moves[a][b] += o.moves[a][b]
		}
	}
	for n := range c.kinds {
		c.kinds[n] += o.kinds[n]
	}
	for n := range c.retires {
		c.retires[n] += o.retires[n]
		c.revokes[n] += o.revokes[n]
		c.denials[n] += o.denials[n]
		c.waits[n] += o.waits[n]
		c.backs[n] += o.backs[n]
		c.others[n] += o.others[n]
		c.held[n] += o.held[n]
	}
	c.lives += o.lives
	c.copies += o.copies
}

// row is one line of the coverage table: how often something was reached, and how often it must be.
type row struct {
	group, name string
	count       int
	need        int
	share       bool // count is of schedules
}

// Gates of coverage: schedules in which each fault must occur, and how often each move, reason and fact must within 10,000 schedules.
const (
	faultShare  = 0.01
	perTenThou  = 20
	gateFrom    = 2000 // fewer schedules are not judged
	smallWanted = 200  // small worlds crashed everywhere, from fullFrom schedules on
	fullFrom    = 20000
)

// rows is the table of a run of n schedules.
func (c *coverage) rows(n int) (rows []row) {
	scaled := max(n*perTenThou/10000, 1)
	for f := range numFaults {
		rows = append(rows, row{"fault", f.String(), c.faults[f], max(int(float64(n)*faultShare), 1), true})
	}
	for from := fleet.Creating; from <= fleet.Unclaimed; from++ {
		for to := fleet.Creating; to <= fleet.Unclaimed; to++ {
			if from.CanBecome(to) && neverMoves[[2]fleet.State{from, to}] == "" {
				rows = append(rows, row{"move", from.String() + " → " + to.String(), c.moves[from][to], scaled, false})
			}
		}
	}
	for k := scaler.FactKind(1); k.String() != "invalid"; k++ {
		rows = append(rows, row{"fact", k.String(), c.kinds[k], scaled, false})
	}
	for _, g := range []struct {
		name   string
		counts *[numCauses]int
		causes []fleet.Cause
	}{
		{"retire", &c.retires, retireCauses}, {"revoke", &c.revokes, revokeCauses}, {"deny", &c.denials, denyCauses},
		{"wait", &c.waits, waitCauses}, {"back-off", &c.backs, backoffCauses}, {"hold", &c.held, holdCauses}, {"other", &c.others, otherCauses},
	} {
		for _, cause := range g.causes {
			rows = append(rows, row{g.name, cause.String(), g.counts[cause], scaled, false})
		}
	}
	return rows
}

// The reasons that the core can give, by what they are given for.
var (
	retireCauses = []fleet.Cause{fleet.CauseIdle, fleet.CauseUsedUp, fleet.CauseBootOverdue, fleet.CausePrepareOverdue, fleet.CausePrepareFailed,
		fleet.CauseUnhealthy, fleet.CauseMissing, fleet.CauseProviderDeleting, fleet.CauseProviderTimeout, fleet.CauseAbandoned,
		fleet.CausePreexisting, fleet.CauseShutdown, fleet.CauseOperator, fleet.CauseChangedHostKey}
	revokeCauses = []fleet.Cause{fleet.CauseUnhealthy, fleet.CauseMissing, fleet.CauseProviderDeleting, fleet.CauseProviderTimeout,
		fleet.CauseAbandoned, fleet.CauseShutdown, fleet.CauseChangedHostKey}
	denyCauses = []fleet.Cause{fleet.CauseShutdown, fleet.CausePolicy, fleet.CauseDeadline, fleet.CauseCancelled, fleet.CauseDraining,
		fleet.CauseNoCapacity, fleet.CauseDuplicate, fleet.CauseUnknownKey}
	waitCauses = []fleet.Cause{fleet.CauseNone, fleet.CauseBoot, fleet.CauseThrottle, fleet.CauseMaxInstances, fleet.CauseQuota, fleet.CauseStockOut,
		fleet.CauseBackoff, fleet.CausePlugin, fleet.CauseConfig, fleet.CauseForeign, fleet.CauseThrottledAPI, fleet.CauseBreaker}
	backoffCauses = []fleet.Cause{fleet.CauseQuota, fleet.CauseStockOut, fleet.CauseBackoff, fleet.CausePlugin, fleet.CauseConfig,
		fleet.CauseThrottledAPI}
	// While no new work is taken nothing is needed, so that neither a drain nor a shutdown holds anything back.
	holdCauses = []fleet.Cause{fleet.CauseThrottle, fleet.CauseMaxInstances, fleet.CauseQuota, fleet.CauseStockOut,
		fleet.CauseBackoff, fleet.CausePlugin, fleet.CauseConfig, fleet.CauseForeign, fleet.CauseThrottledAPI, fleet.CauseBreaker}
	otherCauses = []fleet.Cause{fleet.CauseZombie}
)

// neverMoves are the legal moves that the core never makes, and why. A test walks all moves to prove it.
var neverMoves = map[[2]fleet.State]string{
	{fleet.Lost, fleet.Deleting}: "an instance whose delete was sent ends as gone, never as lost: the register allows the move for states of other origin",
}

// neverReasons are the causes that the core gives for nothing, and why. A test holds the list against the core's source; that the fallback of
// waitCause never holds is proved by trying all small fleets.
var neverReasons = map[fleet.Cause]string{
	fleet.CauseReplaced:   "a lease that is given back for another one is neither revoked nor denied: its caller asked for it",
	fleet.CauseReleased:   "a lease that is given back is no decision of ours",
	fleet.CauseConfirming: "whoever waits for no machine on its way is held back by a bound: slots out of a waiter's reach are no supply (ADR 5)",
}

// short are the rows that were reached too seldom.
func short(rows []row) (out []row) {
	for _, r := range rows {
		if r.count < r.need {
			out = append(out, r)
		}
	}
	return out
}

// table is the coverage of a run of n schedules, for people.
func (c *coverage) table(n int) string {
	var b strings.Builder
	group := ""
	for _, r := range c.rows(n) {
		if r.group != group {
			group = r.group
			fmt.Fprintf(&b, "%s\n", group)
		}
		mark := " "
		if r.count < r.need {
			mark = "!"
		}
		if r.share {
			fmt.Fprintf(&b, "%s   %-26s %9d schedules %6.2f %%\n", mark, r.name, r.count, 100*float64(r.count)/float64(max(n, 1)))
		} else {
			fmt.Fprintf(&b, "%s   %-26s %9d\n", mark, r.name, r.count)
		}
	}
	return b.String()
}
