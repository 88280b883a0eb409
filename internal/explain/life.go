package explain

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Life is everything that the journal contains about one instance.
type Life struct {
	ID      string    `json:"id"`
	State   string    `json:"state"`            // the last known state; "forgotten" when the manager no longer has a record
	Created *Record   `json:"created"`          // the create that made it; null: unknown
	Removed []*Record `json:"removed"`          // why it was removed; several if it came back
	Moments []Link    `json:"moments"`          // everything about it, in chronological order
	Leases  []Use     `json:"leases"`           // who used it
	Other   []*Record `json:"other_decisions"`  // other decisions about it: its boot failed, it was lost, it was adopted
	Uses    int       `json:"uses"`             // how many leases it has served
	Found   string    `json:"origin,omitempty"` // created, adopted, preexisting
}

// Use is one lease.
type Use struct {
	Key      string     `json:"key"`
	Slot     int        `json:"slot"`
	Use      int        `json:"use"` // the ordinal of this use of the instance, starting at 1; 0: unknown
	From     time.Time  `json:"from"`
	To       *time.Time `json:"to"`       // null: it still runs
	End      string     `json:"end"`      // "released", or the cause of its revocation; empty: it has not ended
	Duration float64    `json:"seconds"`  // until its end, or until now
	Instance string     `json:"instance"` // the ID of the instance
}

// life follows one instance.
type life struct {
	id      record.ID
	known   bool
	moments []Link
	records []*Record
	uses    []Use
	created *Record
}

func (l *life) add(h *History, sentence string) {
	l.known = true
	l.moments = append(l.moments, Link{Time: h.at, Sentence: sentence})
}

// event notes an event about the instance.
func (l *life) event(h *History, ev *scaler.Event) {
	if ev.ID != l.id {
		return
	}
	if ev.Kind == scaler.EvBeat && !ev.Failure.Failed() {
		return
	}
	l.add(h, h.said(ev))
}

// fact notes a decision about the instance.
func (l *life) fact(h *History, f *scaler.Fact) {
	if f.ID != l.id {
		return
	}
	switch f.Kind {
	case scaler.FactAppeared:
		if c := h.creations[f.Op]; c != nil && f.Op != 0 {
			l.created = c.record
		}
		l.add(h, "the manager recorded it")
	case scaler.FactRetire:
		l.add(h, "retired: "+observe.Why(f))
	case scaler.FactReady:
		l.add(h, fmt.Sprintf("ready, %s after it was first listed", words.Span(f.Took)))
	case scaler.FactGone:
		l.add(h, fmt.Sprintf("gone, %s after it was first listed", words.Span(f.Took)))
	case scaler.FactDelete:
	case scaler.FactPrepare:
		l.add(h, "preparing it will be tried again")
	default:
		l.add(h, observe.Sentence(f))
	}
}

// commands notes the commands of this round for the instance.
func (l *life) commands(h *History) {
	for i := range h.batch.Commands {
		switch c := &h.batch.Commands[i]; {
		case c.ID != l.id:
		case c.Kind == scaler.CmdPrepare:
			l.add(h, "the manager started to prepare it: connect info, first connection, ready command")
		case c.Kind == scaler.CmdDelete:
			l.add(h, "the provider was asked to delete it")
		}
	}
}

// grant notes the leases of the instance.
func (l *life) grant(h *History, g *scaler.Grant) {
	switch g.Kind {
	case scaler.GrantLease:
		l.add(h, fmt.Sprintf("leased to %q: slot %d, use %d", g.Key, g.Slot, g.Use))
		l.uses = append(l.uses, Use{Key: string(g.Key), Slot: g.Slot, Use: g.Use, From: h.at, Instance: string(g.ID)})
	case scaler.GrantReattached:
		l.add(h, fmt.Sprintf("%q reattached to its lease", g.Key))
	case scaler.GrantReleased:
		l.add(h, fmt.Sprintf("%q released its slot", g.Key))
		l.uses = end(l.uses, h, string(g.Key), string(g.ID), "released")
	case scaler.GrantRevoked:
		l.add(h, fmt.Sprintf("the lease of %q was revoked: %s", g.Key, observe.Revoke(g.Cause)))
		l.uses = end(l.uses, h, string(g.Key), string(g.ID), g.Cause.String())
	}
}

// end ends the lease of key. A lease from before the journal begins is added, if the state says when it was granted.
func end(uses []Use, h *History, key, id, how string) []Use {
	at := h.at
	for i := len(uses) - 1; i >= 0; i-- {
		if u := &uses[i]; u.Key == key && u.To == nil {
			u.To, u.End, u.Duration = &at, how, at.Sub(u.From).Seconds()
			return uses
		}
	}
	c := h.callers[record.Key(key)]
	if c == nil || c.leased.IsZero() {
		return uses
	}
	return append(uses, Use{Key: key, From: c.leased, To: &at, End: how, Duration: at.Sub(c.leased).Seconds(), Instance: id})
}

// consider keeps the record if it is about the instance.
func (l *life) consider(r *Record) {
	if r.Instance == string(l.id) {
		l.known = true
		l.records = append(l.records, r)
	}
}

// Instance returns the history of Options.Instance, or nil if the journal does not contain it.
func (h *History) Instance() *Life {
	l := h.life
	if l == nil {
		return nil
	}
	out := &Life{
		ID: string(l.id), State: "forgotten", Created: l.created, Moments: l.moments, Leases: append([]Use{}, l.uses...), Removed: []*Record{},
		Other: []*Record{},
	}
	for _, r := range l.records {
		h.finish(r)
		if r.Kind == KindDelete {
			out.Removed = append(out.Removed, r)
		} else {
			out.Other = append(out.Other, r)
		}
	}
	if out.Created != nil {
		h.finish(out.Created)
	}
	if v, ok := h.view(l.id); ok {
		l.known = true
		out.State, out.Uses, out.Found = v.State.String(), v.Uses, v.Origin.String()
		out.stillHeld(h, v)
	}
	if !l.known {
		return nil
	}
	for i := range out.Leases {
		if u := &out.Leases[i]; u.To == nil {
			u.Duration = h.span.To.Sub(u.From).Seconds()
		}
		out.Uses = max(out.Uses, out.Leases[i].Use)
	}
	return out
}

// stillHeld adds the leases that were granted before the journal begins.
func (l *Life) stillHeld(h *History, v scaler.InstanceView) {
	for _, held := range v.Leases {
		known := false
		for _, u := range l.Leases {
			known = known || u.Key == string(held.Key) && u.To == nil
		}
		if !known {
			l.Leases = append(l.Leases, Use{
				Key: string(held.Key), Slot: held.Slot, From: time.Unix(0, held.At).In(h.opts.Location), Instance: string(v.ID),
			})
		}
	}
}

// view returns the core's data about an instance.
func (h *History) view(id record.ID) (found scaler.InstanceView, ok bool) {
	if h.core == nil {
		return found, false
	}
	h.core.Instances(func(v scaler.InstanceView) bool {
		if v.ID == id {
			found, ok = v, true
		}
		return !ok
	})
	return found, ok
}
