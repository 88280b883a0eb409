package explain

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Caller is everything that the journal contains about one key.
type Caller struct {
	Key     string    `json:"key"`
	State   string    `json:"state"`   // "waiting", "leased", "reserved", or "done"
	Waits   []Waited  `json:"waits"`   // several if the key was used again
	Leases  []Use     `json:"leases"`  // several if the key was used again
	Moments []Link    `json:"moments"` // everything about it, in chronological order
	Records []*Record `json:"records"` // the decisions about it: denials, revocations
}

// Waited is one wait for a slot, split by cause.
type Waited struct {
	From     time.Time  `json:"from"`
	To       *time.Time `json:"to"` // null: it still waits
	Seconds  float64    `json:"seconds"`
	Split    []Share    `json:"split"`
	Sentence string     `json:"sentence"` // "waited 34s = 20s for an instance to boot + …"
}

// keyLife follows one key.
type keyLife struct {
	key     record.Key
	known   bool
	moments []Link
	waits   []*wait
	waiting bool
	cause   record.Cause // what it waits for, since the last round
	uses    []Use
	records []*Record
}

// wait is one measured wait.
type wait struct {
	from, to time.Time // to is zero while it waits
	split    Split
}

func (k *keyLife) add(at time.Time, sentence string) {
	k.known = true
	k.moments = append(k.moments, Link{Time: at, Sentence: sentence})
}

func (k *keyLife) event(h *History, ev *scaler.Event) { k.add(h.at, h.said(ev)) }

// elapse adds the time since the round before to the cause that the key was waiting for then.
func (k *keyLife) elapse(d time.Duration) {
	if k.waiting {
		k.waits[len(k.waits)-1].split.add(k.cause, d)
	}
}

// look checks whether the key waits after this round, and what for.
func (k *keyLife) look(h *History) {
	v, waits := h.core.Wait(k.key)
	switch {
	case waits && !k.waiting:
		k.known = true
		k.waits = append(k.waits, &wait{from: h.at.Add(-v.For), split: Split{}})
		k.waits[len(k.waits)-1].split.add(record.CauseNone, v.For) // before the journal began
	case !waits && k.waiting:
		k.waits[len(k.waits)-1].to = h.at
	case waits && v.Cause != k.cause:
		k.add(h.at, "from now on it waits "+observe.Wait(v.Cause))
	}
	if waits && !k.waiting {
		k.add(h.at, fmt.Sprintf("it waits, as the %s in the queue, %s", words.Ordinal(v.Position), observe.Wait(v.Cause)))
	}
	k.waiting, k.cause = waits, v.Cause
}

// lost ends the wait of the key when its manager ended.
func (k *keyLife) lost(h *History) {
	if k.waiting {
		k.waits[len(k.waits)-1].to = h.last.Wall.In(h.opts.Location)
		k.add(h.at, "a manager started: the wait ended with the manager before it")
	}
	k.waiting = false
}

// grant notes an answer to the key.
func (k *keyLife) grant(h *History, g *scaler.Grant) {
	switch g.Kind {
	case scaler.GrantLease:
		k.add(h.at, fmt.Sprintf("leased slot %d of instance %s after a wait of %s: use %d of the instance", g.Slot, g.ID, words.Span(g.Waited), g.Use))
		k.uses = append(k.uses, Use{Key: string(g.Key), Slot: g.Slot, Use: g.Use, From: h.at, Instance: string(g.ID)})
	case scaler.GrantReserved:
		k.add(h.at, "a slot was reserved for it")
	case scaler.GrantReattached:
		k.add(h.at, fmt.Sprintf("its lease of slot %d of instance %s continues", g.Slot, g.ID))
	case scaler.GrantReleased:
		k.uses = end(k.uses, h, string(g.Key), string(g.ID), "released")
		if n := len(k.uses); n > 0 {
			k.add(h.at, fmt.Sprintf("the lease ended after %s", words.Span(time.Duration(k.uses[n-1].Duration*float64(time.Second)))))
		}
	case scaler.GrantRevoked:
		k.add(h.at, fmt.Sprintf("its lease on instance %s was revoked: %s", g.ID, observe.Revoke(g.Cause)))
		k.uses = end(k.uses, h, string(g.Key), string(g.ID), g.Cause.String())
	}
}

// consider keeps the record if it is about the key.
func (k *keyLife) consider(r *Record) {
	if r.Key == string(k.key) {
		k.known = true
		k.records = append(k.records, r)
	}
}

// Key returns everything about Options.Key, or nil if the journal does not contain it.
func (h *History) Key() *Caller {
	k := h.key
	if k == nil {
		return nil
	}
	out := &Caller{
		Key: string(k.key), State: "done", Waits: []Waited{}, Leases: append([]Use{}, k.uses...), Moments: k.moments, Records: append([]*Record{}, k.records...),
	}
	if c := h.callers[k.key]; c != nil && !c.reserved.IsZero() {
		out.State = "reserved"
	}
	if h.core != nil {
		if id, slot, ok := h.core.Lease(k.key); ok {
			k.known, out.State = true, "leased"
			if n := len(out.Leases); n == 0 || out.Leases[n-1].To != nil {
				out.Leases = append(out.Leases, h.heldSince(id, slot, k.key))
			}
		}
	}
	if k.waiting {
		out.State = "waiting"
	}
	if !k.known {
		return nil
	}
	for i := range out.Leases {
		if u := &out.Leases[i]; u.To == nil {
			u.Duration = h.span.To.Sub(u.From).Seconds()
		}
	}
	for _, w := range k.waits {
		out.Waits = append(out.Waits, w.told())
	}
	return out
}

// heldSince returns a lease that was granted before the journal begins.
func (h *History) heldSince(id record.ID, slot int, key record.Key) Use {
	u := Use{Key: string(key), Slot: slot, Instance: string(id)}
	if c := h.callers[key]; c != nil {
		u.From = c.leased
	}
	return u
}

func (w *wait) told() Waited {
	out := Waited{From: w.from, Seconds: w.split.Total().Seconds(), Split: w.split.Shares(), Sentence: "waited " + w.split.String()}
	if !w.to.IsZero() {
		out.To = &w.to
	}
	return out
}
