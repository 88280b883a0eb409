package simulate

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// fullCheck is the number of steps between two full checks of the core's own state. A full check costs time in proportion to the fleet's
// size.
const fullCheck = 4096

// auditor keeps its own records of what the core commits. It checks every batch against the invariants on slots, instances, creates,
// deletes and leases. A check costs time in proportion to the batch, not to the fleet.
type auditor struct {
	core  *scaler.Core
	cfg   scaler.Config
	steps int

	books   map[record.ID]entry
	leases  map[record.Key]place
	intents map[uint64]record.Intent
	counts  [record.Unclaimed + 1]int
	open    int // instances expected by intents
	doubt   int

	limit, burst float64 // the loosest throttle of any policy; limit +Inf: no throttle
	tokens       float64
	tokensAt     time.Duration
	errs         []error
}

type entry struct {
	state  record.State
	serial uint64
	uses   int
	leases []record.Lease
}

type place struct {
	id   record.ID
	slot int
}

func newAuditor(core *scaler.Core, cfg scaler.Config) *auditor {
	a := &auditor{core: core, cfg: cfg.WithDefaults(), books: map[record.ID]entry{}, leases: map[record.Key]place{}, intents: map[uint64]record.Intent{}}
	a.throttle(cfg.Throttle)
	if cfg.Schedule != nil {
		for _, p := range cfg.Schedule.Policies() {
			if p.Throttle != nil {
				a.throttle(*p.Throttle)
			}
		}
	}
	a.tokens = a.burst
	return a
}

// throttle takes t into account. Its defaults: limit 0 means 100; burst 0 means max_instances, or the limit if max_instances is 0.
func (a *auditor) throttle(t policy.Throttle) {
	limit, burst := t.Limit, float64(t.Burst)
	switch {
	case limit < 0 || math.IsNaN(limit):
		limit = math.Inf(1)
	case limit == 0:
		limit = 100
	}
	if burst <= 0 {
		burst = float64(a.cfg.MaxInstances)
	}
	if burst <= 0 {
		burst = math.Ceil(limit)
	}
	a.limit, a.burst = max(a.limit, limit), max(a.burst, burst, 1)
}

func (a *auditor) fail(format string, args ...any) {
	a.errs = append(a.errs, fmt.Errorf(format, args...))
}

// check enters a batch as if it were committed. Its error says which invariant the batch breaks.
func (a *auditor) check(b *scaler.Batch, now time.Duration) error {
	a.commit(&b.Changes)
	for i := range b.Commands {
		a.command(&b.Commands[i], now)
	}
	for i := range b.Grants {
		a.grant(b, &b.Grants[i])
	}
	a.sums()
	if a.steps++; a.steps%fullCheck == 0 {
		a.errs = append(a.errs, a.core.Check())
	}
	if len(a.errs) == 0 {
		return nil
	}
	return errors.Join(a.errs...)
}

// commit enters the records. It first removes all leases of the changed instances, so that a lease can move from one to another.
func (a *auditor) commit(c *record.Changes) {
	for i := range c.Put {
		for _, l := range a.books[c.Put[i].ID].leases {
			delete(a.leases, l.Key)
		}
	}
	for i := range c.Put {
		a.put(&c.Put[i])
	}
	for _, id := range c.Drop {
		old := a.books[id]
		if old.state.Exists() && old.state != record.Unclaimed {
			a.fail("invariant 5: %s was forgotten as %s", id, old.state)
		}
		if old.state != 0 {
			a.counts[old.state]--
		}
		delete(a.books, id)
	}
	for _, in := range c.PutIntents {
		old := a.intents[in.Op]
		a.open += in.Open - old.Open
		a.doubt += in.Doubt - old.Doubt
		a.intents[in.Op] = in
	}
	for _, op := range c.DropIntents {
		a.open -= a.intents[op].Open
		a.doubt -= a.intents[op].Doubt
		delete(a.intents, op)
	}
}

func (a *auditor) put(r *record.Instance) {
	old := a.books[r.ID]
	if old.state != 0 {
		a.counts[old.state]--
	}
	a.counts[r.State]++
	same := old.serial == r.Serial
	if same && r.Uses < old.uses {
		a.fail("invariant 2: uses of %s fell from %d to %d", r.ID, old.uses, r.Uses)
	}
	if a.cfg.MaxUses > 0 && r.Uses > a.cfg.MaxUses {
		a.fail("invariant 2: %s has %d uses of %d", r.ID, r.Uses, a.cfg.MaxUses)
	}
	if len(r.Leases) > a.cfg.Capacity {
		a.fail("invariant 1: %s holds %d leases, capacity %d", r.ID, len(r.Leases), a.cfg.Capacity)
	}
	if len(r.Leases) > 0 && r.State != record.Ready && r.State != record.Draining {
		a.fail("invariant 3: %s is %s with %d leases", r.ID, r.State, len(r.Leases))
	}
	for n, l := range r.Leases {
		if l.Slot < 0 || l.Slot >= a.cfg.Capacity {
			a.fail("invariant 1: %s has a lease on slot %d of %d", r.ID, l.Slot, a.cfg.Capacity)
		}
		if slices.ContainsFunc(r.Leases[:n], func(o record.Lease) bool { return o.Slot == l.Slot }) {
			a.fail("invariant 1: slot %d of %s is leased twice", l.Slot, r.ID)
		}
		if at, dup := a.leases[l.Key]; dup {
			a.fail("invariant 1: %q holds %s and %s", l.Key, at.id, r.ID)
		}
		a.leases[l.Key] = place{r.ID, l.Slot}
		if r.State != record.Ready && !(same && slices.Contains(old.leases, l)) {
			a.fail("invariant 9: %q was given %s, which is %s", l.Key, r.ID, r.State)
		}
	}
	leases := append(old.leases[:0], r.Leases...) // copied, because the core owns and reuses the memory of r
	a.books[r.ID] = entry{r.State, r.Serial, r.Uses, leases}
}

func (a *auditor) command(cmd *scaler.Command, now time.Duration) {
	switch at := a.books[cmd.ID]; cmd.Kind {
	case scaler.CmdIncrease:
		if in, ok := a.intents[cmd.Op]; !ok || in.Asked != cmd.Count {
			a.fail("invariant 5: a create of %d is on its way under the intent %+v", cmd.Count, in)
		}
		if n, most := a.existing(), a.core.Summary().MaxInstances; most > 0 && n > most {
			a.fail("invariant 2: %d exist after a create, of %d", n, most)
		}
		a.spend(cmd.Count, now)
	case scaler.CmdDelete:
		if at.state != record.Deleting || len(at.leases) > 0 {
			a.fail("invariant 3: delete of %s, which is %s with %d leases", cmd.ID, at.state, len(at.leases))
		}
	case scaler.CmdPrepare:
		if at.state != record.Preparing {
			a.fail("%s is prepared in state %s", cmd.ID, at.state)
		}
	}
}

func (a *auditor) existing() int {
	n := a.open + a.doubt
	for s, k := range a.counts {
		if record.State(s).Exists() {
			n += k
		}
	}
	return n
}

// spend checks invariant 6: at most burst + limit × t creates in any window t. This holds for all windows at once exactly if a token bucket
// never runs below zero.
func (a *auditor) spend(n int, now time.Duration) {
	if math.IsInf(a.limit, 1) {
		return
	}
	a.tokens = min(a.burst, a.tokens+a.limit*(now-a.tokensAt).Seconds()) - float64(n)
	a.tokensAt = now
	if a.tokens < -1e-3 {
		a.fail("invariant 6: %d creates overdraw the throttle by %.3f", n, -a.tokens)
	}
}

// grant checks invariant 4: no caller is told of a lease that no record holds, unless the same batch revokes it.
func (a *auditor) grant(b *scaler.Batch, g *scaler.Grant) {
	if g.Kind != scaler.GrantLease && g.Kind != scaler.GrantReattached || a.leases[g.Key] == (place{g.ID, g.Slot}) && a.books[g.ID].serial == g.Serial {
		return
	}
	ended := slices.ContainsFunc(b.Grants, func(o scaler.Grant) bool {
		return o.Key == g.Key && (o.Kind == scaler.GrantRevoked || o.Kind == scaler.GrantReleased)
	})
	if !ended {
		a.fail("invariant 4: %q was told of slot %d of %s, which no record holds", g.Key, g.Slot, g.ID)
	}
}

// sums compares the core's own counts with the records.
func (a *auditor) sums() {
	s := a.core.Summary()
	for _, p := range [...]struct {
		what       string
		said, have int
	}{
		{"leases", s.Leases, len(a.leases)}, {"creating", s.Creating, a.counts[record.Creating]}, {"preparing", s.Preparing, a.counts[record.Preparing]},
		{"ready", s.Ready, a.counts[record.Ready]}, {"draining", s.Draining, a.counts[record.Draining]}, {"deleting", s.Deleting, a.counts[record.Deleting]},
		{"unclaimed", s.Unclaimed, a.counts[record.Unclaimed]}, {"requested", s.Requested, a.open}, {"in doubt", s.Doubt, a.doubt},
	} {
		if p.said != p.have {
			a.fail("the core counts %d %s, the records have %d", p.said, p.what, p.have)
		}
	}
}
