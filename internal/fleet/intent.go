package fleet

import (
	"slices"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// Intent is a create that is not finished. Unsure is the part of Open of which it is not known whether it was created, after an ambiguous
// answer or a restart. It counts as supply until complete lists rule it out.
type Intent struct {
	record.Intent
	Unsure   int
	Attached any // the core's data about the intent

	dirty, closed bool
}

// Left returns how many instances may still appear because of this intent.
func (in *Intent) Left() int { return in.Open + in.Doubt + in.Faded }

// AddIntent records a create of n instances, before the provider is asked.
func (r *Register) AddIntent(n int, at Stamp) *Intent {
	r.Meta.LastOp++
	r.TouchMeta()
	in := &Intent{Intent: record.Intent{Op: r.Meta.LastOp, Asked: n, Open: n, At: at.Wall}}
	r.intents = append(r.intents, in)
	r.intentExpected += n
	r.touchIntent(in)
	return in
}

// Extend adds n instances to a create that has not been dispatched yet.
func (r *Register) Extend(in *Intent, n int) {
	in.Asked += n
	in.Open += n
	r.intentExpected += n
	r.touchIntent(in)
}

// Shift adds the given differences to the counts of in. It refuses to make a count negative.
func (r *Register) Shift(in *Intent, expected, doubt, faded int) error {
	if in.Open+expected < 0 || in.Doubt+doubt < 0 || in.Faded+faded < 0 {
		return &IllegalMove{Move: "shift an intent below zero"}
	}
	in.Open += expected
	in.Doubt += doubt
	in.Faded += faded
	in.Unsure = min(in.Unsure, in.Open)
	r.intentExpected += expected
	r.intentDoubt += doubt
	r.touchIntent(in)
	return nil
}

// Answered records that the provider answered the create.
func (r *Register) Answered(in *Intent) {
	in.Answered = true
	r.touchIntent(in)
}

// CloseIntent drops in from the register.
func (r *Register) CloseIntent(in *Intent) {
	if n := slices.Index(r.intents, in); n >= 0 {
		in.closed = true
		r.intentExpected -= in.Open
		r.intentDoubt -= in.Doubt
		r.intents = slices.Delete(r.intents, n, n+1)
		r.lostIntents = append(r.lostIntents, in.Op)
	}
}

// Intent returns the intent with number op, or nil.
func (r *Register) Intent(op uint64) *Intent {
	for _, in := range r.intents {
		if in.Op == op {
			return in
		}
	}
	return nil
}

// Intents returns the unfinished creates, oldest first. The slice belongs to the register and is valid until the next change.
func (r *Register) Intents() []*Intent { return r.intents }

// IntentExpected returns the number of instances that intents expect.
func (r *Register) IntentExpected() int { return r.intentExpected }

// IntentDoubt returns the number of instances that may still appear, although they are no longer expected.
func (r *Register) IntentDoubt() int { return r.intentDoubt }

func (r *Register) touchIntent(in *Intent) {
	if !in.dirty {
		in.dirty = true
		r.dirtyIntent = append(r.dirtyIntent, in)
	}
}
