package fleet

import (
	"errors"
	"fmt"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// Check verifies every invariant of the register from scratch. It returns all violations, joined, or nil. It costs O(fleet): tests and
// simulations call it after every step, a running manager does not.
func (r *Register) Check() error {
	var c checker
	keys := 0
	for _, i := range r.sorted() {
		c.instance(r, i)
		keys += c.leases
		c.leased += c.leases
	}
	for s := record.Creating; s <= record.Unclaimed; s++ {
		c.equal("count of "+s.String(), r.counts[s], c.counts[s])
	}
	c.equal("leases", r.leased, c.leased)
	c.equal("keys with a lease", len(r.leases), keys)
	c.equal("supply", r.supply, c.supply)
	c.equal("pending supply", r.pending, c.pending)
	c.equal("open slots", r.openSlots, c.open)
	c.equal("idle instances", r.idleCount, c.idle)
	c.order(r)
	claims := 0
	for _, res := range r.reservations { //archtest:unordered only counted
		if res.Claim != nil {
			claims++
		}
	}
	c.equal("claims", r.claims, claims)
	c.equal("claims on instances", r.claims, c.claims)
	expected, doubt := 0, 0
	for _, in := range r.intents {
		expected += in.Open
		doubt += in.Doubt
		if in.Open < 0 || in.Doubt < 0 || in.Faded < 0 || in.Unsure < 0 || in.Unsure > in.Open || in.Left() > in.Asked {
			c.fail("intent %d is out of range: %+v", in.Op, *in)
		}
	}
	c.equal("expected by intents", r.intentExpected, expected)
	c.equal("doubtful intents", r.intentDoubt, doubt)
	return errors.Join(c.errs...)
}

type checker struct {
	errs                                                []error
	counts                                              [record.Unclaimed + 1]int
	leases, leased, supply, pending, open, idle, claims int
}

func (c *checker) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

func (c *checker) equal(what string, kept, counted int) {
	if kept != counted {
		c.fail("%s: kept %d, counted %d", what, kept, counted)
	}
}

func (c *checker) instance(r *Register, i *Instance) {
	c.counts[i.State]++
	c.leases = 0
	for n := range i.slots {
		s := &i.slots[n]
		if !s.used {
			continue
		}
		c.leases++
		if l := r.leases[s.key]; l.on != i || l.slot != n {
			c.fail("invariant 1: slot %d of %q holds key %q, which is not leased there", n, i.ID, s.key)
		}
	}
	if r.byID[i.ID] != i {
		c.fail("instance %q is not under its id", i.ID)
	}
	if c.leases != i.leased {
		c.fail("invariant 1: %q counts %d leases and holds %d", i.ID, i.leased, c.leases)
	}
	if i.leased > max(r.capacity, len(i.slots)) {
		c.fail("invariant 1: %q holds %d leases, capacity %d", i.ID, i.leased, r.capacity)
	}
	if i.leased > i.Uses {
		c.fail("invariant 2: %q holds %d leases after %d uses", i.ID, i.leased, i.Uses)
	}
	if i.leased > 0 && i.State != record.Ready && i.State != record.Draining {
		c.fail("invariant 3: %q is %s with %d leases", i.ID, i.State, i.leased)
	}
	if i.State == record.Deleting && !i.DeleteAsked {
		c.fail("invariant 5: %q is deleting, but no delete is recorded", i.ID)
	}
	if i.open > 0 && (i.State != record.Ready || i.Listed != ListedRunning || i.Unreachable) {
		c.fail("invariant 9: %q is open to leases as %s, listed %s, unreachable %v", i.ID, i.State, i.Listed, i.Unreachable)
	}
	if i.claims < 0 || i.claims > 0 && i.State != record.Ready {
		c.fail("%q is %s with %d claims", i.ID, i.State, i.claims)
	}
	if i.supply != r.worth(i) {
		c.fail("supply of %q: kept %d, worth %d", i.ID, i.supply, r.worth(i))
	}
	if i.idle.on != (i.Usable() && i.leased == 0) || (i.bucket >= 0) != (i.open > 0) {
		c.fail("%q is in the wrong list", i.ID)
	}
	c.supply += i.supply
	if i.State == record.Creating || i.State == record.Preparing {
		c.pending += i.supply
	}
	c.open += i.open
	c.claims += i.claims
	if i.idle.on {
		c.idle++
	}
}

// order checks the order and length of the idle list.
func (c *checker) order(r *Register) {
	n := 0
	for i := r.idle.head; i != nil; i = i.idle.next {
		if n++; i.idle.next != nil && i.idle.next.IdleAt.Mono < i.IdleAt.Mono {
			c.fail("idle list: %q stands before %q", i.ID, i.idle.next.ID)
		}
	}
	c.equal("length of the idle list", n, r.idleCount)
}
