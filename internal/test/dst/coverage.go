package dst

import (
	"fmt"
	"slices"
	"strings"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// numCauses and numKinds leave room for future causes and facts.
const (
	numCauses = 64
	numKinds  = 48
	numStates = int(record.Unclaimed) + 1
)

// coverage counts what a schedule, or a whole run, reached.
type coverage struct {
	faults  [numFaults]int // a schedule: occurrences; a run: schedules with an occurrence
	moves   [numStates][numStates]int
	kinds   [numKinds]int
	retires [numCauses]int // why instances were retired
	revokes [numCauses]int // why leases were revoked
	denials [numCauses]int
	waits   [numCauses]int
	backs   [numCauses]int // why creates were backed off
	others  [numCauses]int // causes of other facts
	lives   int
	copies  int            // snapshots from which a core was made
	held    [numCauses]int // why needed creates are held back
	judged  [numOracles]int
}

// oracle is a question about the core that the world answers by its own knowledge.
type oracle uint8

const (
	oracleKept oracle = iota
	oracleRestart
	oracleUnfit
	oracleReason
	oracleFinal
	oracleOwner
	oracleAdmission
	oraclePrompt
	oraclePace
	oracleSizing
	oracleBreaker
	oracleTold
	oraclePlace
	oracleDoubt
	oracleYoung
	numOracles
)

// oracleNames are the oracles as a violation names them.
var oracleNames = [numOracles]string{"kept", "restart", "unfit", "reason", "final", "owner", "admission", "prompt", "pace", "sizing", "breaker", "told", "place", "doubt", "young"}

// legalPaths: path[a][b] is the shortest legal path from a to b, including both.
func legalPaths() (path [numStates][numStates][]record.State) {
	for from := record.Creating; from <= record.Unclaimed; from++ {
		path[from][from] = []record.State{from}
		for queue := []record.State{from}; len(queue) > 0; queue = queue[1:] {
			at := queue[0]
			for to := record.Creating; to <= record.Unclaimed; to++ {
				if fleet.CanBecome(at, to) && path[from][to] == nil {
					path[from][to] = append(slices.Clone(path[from][at]), to)
					queue = append(queue, to)
				}
			}
		}
	}
	return path
}

var paths = legalPaths()

// move counts the moves between two committed records of one machine. If a batch made several moves, they are those of the shortest legal
// path. from is 0 if the machine had no record.
func (c *coverage) move(from, to record.State) {
	if from == 0 {
		if from = record.Creating; to == record.Unclaimed {
			return
		}
	}
	if from == record.Lost && to == record.Deleting { // it came back, was adopted, and had to be deleted: see neverMoves
		c.moves[from][record.Creating]++
		from = record.Creating
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
		c.backs[record.CauseBackoff]++
		c.others[f.Cause]++
	case scaler.FactHold:
		c.held[f.Cause]++
	case scaler.FactRevoke, scaler.FactDeny:
	default:
		c.others[f.Cause]++
	}
}

// add adds one schedule to a run.
func (c *coverage) add(o *coverage) {
	for f := range c.faults {
		if o.faults[f] > 0 {
			c.faults[f]++
		}
	}
	c.merge(o)
}

// merge adds everything except the faults.
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
	for n := range c.judged {
		c.judged[n] += o.judged[n]
	}
	c.lives += o.lives
	c.copies += o.copies
}

// row is one line of the coverage table: how often something was reached, and how often it must be.
type row struct {
	group, name string
	count       int
	need        int
	share       bool // count is the number of schedules
}

// Required coverage: the number of schedules in which each fault must occur, and how often each move, reason and fact must occur in 10,000
// schedules.
const (
	faultShare  = 0.01
	perTenThou  = 20
	gateFrom    = 2000 // a run with fewer schedules is not judged
	smallWanted = 200  // small worlds that are crashed everywhere, from fullFrom schedules on
	fullFrom    = 20000
)

// rows is the table of a run of n schedules.
func (c *coverage) rows(n int) (rows []row) {
	scaled := max(n*perTenThou/10000, 1)
	for f := range numFaults {
		rows = append(rows, row{"fault", f.String(), c.faults[f], max(int(float64(n)*faultShare), 1), true})
	}
	for from := record.Creating; from <= record.Unclaimed; from++ {
		for to := record.Creating; to <= record.Unclaimed; to++ {
			if fleet.CanBecome(from, to) && neverMoves[[2]record.State{from, to}] == "" {
				rows = append(rows, row{"move", from.String() + " → " + to.String(), c.moves[from][to], scaled, false})
			}
		}
	}
	for o, name := range oracleNames {
		rows = append(rows, row{"oracle", name, c.judged[o], scaled, false})
	}
	for k := scaler.FactKind(1); k.String() != "invalid"; k++ {
		rows = append(rows, row{"fact", k.String(), c.kinds[k], scaled, false})
	}
	for _, g := range []struct {
		name   string
		counts *[numCauses]int
		causes []record.Cause
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

// The causes that the core can give, by purpose.
var (
	retireCauses = []record.Cause{record.CauseIdle, record.CauseUsedUp, record.CauseBootOverdue, record.CausePrepareOverdue, record.CausePrepareFailed,
		record.CauseUnhealthy, record.CauseMissing, record.CauseProviderDeleting, record.CauseProviderTimeout, record.CauseAbandoned,
		record.CausePreexisting, record.CauseShutdown, record.CauseOperator, record.CauseChangedHostKey, record.CauseAboveLimit,
		record.CauseDoubtful}
	revokeCauses = []record.Cause{record.CauseUnhealthy, record.CauseMissing, record.CauseProviderDeleting, record.CauseProviderTimeout,
		record.CauseAbandoned, record.CauseShutdown, record.CauseChangedHostKey}
	denyCauses = []record.Cause{record.CauseShutdown, record.CausePolicy, record.CauseDeadline, record.CauseCancelled, record.CauseDraining,
		record.CauseNoCapacity, record.CauseDuplicate, record.CauseUnknownKey}
	waitCauses = []record.Cause{record.CauseNone, record.CauseBoot, record.CauseThrottle, record.CauseMaxInstances, record.CauseQuota, record.CauseStockOut,
		record.CauseBackoff, record.CausePlugin, record.CauseConfig, record.CauseForeign, record.CauseThrottledAPI, record.CauseBreaker, record.CauseLists,
		record.CauseProviderLimit}
	backoffCauses = []record.Cause{record.CauseQuota, record.CauseStockOut, record.CauseBackoff, record.CausePlugin, record.CauseConfig,
		record.CauseThrottledAPI}
	// While no new work is taken, nothing is needed. So neither a drain nor a shutdown holds anything back.
	holdCauses = []record.Cause{record.CauseThrottle, record.CauseMaxInstances, record.CauseQuota, record.CauseStockOut,
		record.CauseBackoff, record.CausePlugin, record.CauseConfig, record.CauseForeign, record.CauseThrottledAPI, record.CauseBreaker, record.CauseLists,
		record.CauseProviderLimit, record.CauseConfirming}
	otherCauses = []record.Cause{record.CauseZombie}
)

// neverMoves are the legal moves that the core never makes, and the reason. A test tries all moves to prove it.
var neverMoves = map[[2]record.State]string{
	{record.Lost, record.Deleting}: "an instance whose delete was sent ends as gone, never as lost: the register allows the move for states of other origin",
}

// neverReasons are the causes that the core never gives, and the reason. A test compares the list with the core's source. Another test
// tries all small fleets to prove that the fallback of waitCause is never used.
var neverReasons = map[record.Cause]string{
	record.CauseStore:    "while commits fail, nothing is stepped: the shell says so",
	record.CauseReplaced: "a lease that is returned for another one is neither revoked nor denied: its caller asked for it",
	record.CauseReleased: "a release is not a decision of the core",
}

// short are the rows that were not reached often enough.
func short(rows []row) (out []row) {
	for _, r := range rows {
		if r.count < r.need {
			out = append(out, r)
		}
	}
	return out
}

// table is the coverage of a run of n schedules, as text.
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
