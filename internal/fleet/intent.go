package fleet

import (
	"slices"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// Intent is a create that is not finished. Unsure is the part of Open that an ambiguous answer, or a restart, left in the dark: it is
// supply until complete lists say otherwise.
type Intent struct {
	record.Intent
	Unsure int
	Owner  any // bookkeeping of whoever decides

	dirty, closed bool
}

// Left is how many instances may still appear that this intent would explain.
func (in *Intent) Left() int { return in.Open + in.Doubt + in.Faded }

// OpenIntent enters a create of n instances, before it is asked for.
func (r *Register) OpenIntent(n int, at Stamp) *Intent {
	r.Meta.LastOp++
	r.TouchMeta()
	in := &Intent{Intent: record.Intent{Op: r.Meta.LastOp, Asked: n, Open: n, At: at.Wall}}
	r.intents = append(r.intents, in)
	r.intentOpen += n
	r.touchIntent(in)
	return in
}

// Extend asks for n more by a create that has not been dispatched yet.
func (r *Register) Extend(in *Intent, n int) {
	in.Asked += n
	in.Open += n
	r.intentOpen += n
	r.touchIntent(in)
}

// Shift changes what may still come of in, by differences; counts below zero are refused.
func (r *Register) Shift(in *Intent, open, doubt, faded int) error {
	if in.Open+open < 0 || in.Doubt+doubt < 0 || in.Faded+faded < 0 {
		return &IllegalMove{Move: "shift an intent below zero"}
	}
	in.Open += open
	in.Doubt += doubt
	in.Faded += faded
	in.Unsure = min(in.Unsure, in.Open)
	r.intentOpen += open
	r.intentDoubt += doubt
	r.touchIntent(in)
	return nil
}

// Answered notes that the provider has said what became of in.
func (r *Register) Answered(in *Intent) {
	in.Answered = true
	r.touchIntent(in)
}

// CloseIntent forgets in.
func (r *Register) CloseIntent(in *Intent) {
	if n := slices.Index(r.intents, in); n >= 0 {
		in.closed = true
		r.intentOpen -= in.Open
		r.intentDoubt -= in.Doubt
		r.intents = slices.Delete(r.intents, n, n+1)
		r.lostIntents = append(r.lostIntents, in.Op)
	}
}

// Intent returns the intent of this number, or nil.
func (r *Register) Intent(op uint64) *Intent {
	for _, in := range r.intents {
		if in.Op == op {
			return in
		}
	}
	return nil
}

// Intents are the unfinished creates, oldest first. The slice is the register's own: it is valid until the next mutation.
func (r *Register) Intents() []*Intent { return r.intents }

// IntentOpen is the number of instances expected by intents, IntentDoubt of those that may appear but are not expected.
func (r *Register) IntentOpen() int { return r.intentOpen }

// IntentDoubt is the number of instances that may appear although nobody expects them any more.
func (r *Register) IntentDoubt() int { return r.intentDoubt }

func (r *Register) touchIntent(in *Intent) {
	if !in.dirty {
		in.dirty = true
		r.dirtyIntent = append(r.dirtyIntent, in)
	}
}
