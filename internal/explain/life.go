package explain

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Life is the whole life of one instance, as far as the journal has it.
type Life struct {
	ID      string    `json:"id"`
	State   string    `json:"state"`            // the last known; "forgotten" when the manager no longer remembers it
	Created *Record   `json:"created"`          // the create that it came of; null: none that is known
	Removed []*Record `json:"removed"`          // why it went; several where it came back
	Moments []Link    `json:"moments"`          // everything about it, in order of time
	Leases  []Use     `json:"leases"`           // who used it
	Other   []*Record `json:"other_decisions"`  // other decisions about it: its boot came to nothing, it was lost, it was taken in
	Uses    int       `json:"uses"`             // grants in its whole life
	Found   string    `json:"origin,omitempty"` // created, adopted, preexisting
}

// Use is one lease.
type Use struct {
	Key      string     `json:"key"`
	Slot     int        `json:"slot"`
	Use      int        `json:"use"` // the how-manieth of the instance, from 1; 0: not known
	From     time.Time  `json:"from"`
	To       *time.Time `json:"to"`       // null: it still runs
	End      string     `json:"end"`      // "released", or why it was revoked; empty: it still runs
	Duration float64    `json:"seconds"`  // until its end, or so far
	Instance string     `json:"instance"` // where
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

// event notes what was reported about it.
func (l *life) event(h *History, ev *scaler.Event) {
	if ev.ID != l.id {
		return
	}
	if ev.Kind == scaler.EvBeat && !ev.Failure.Failed() {
		return
	}
	l.add(h, h.said(ev))
}

// fact notes what was decided about it.
func (l *life) fact(h *History, f *scaler.Fact) {
	if f.ID != l.id {
		return
	}
	switch f.Kind {
	case scaler.FactAppeared:
		if c := h.creations[f.Op]; c != nil && f.Op != 0 {
			l.created = c.record
		}
		l.add(h, "it was entered into the books")
	case scaler.FactRetire:
		l.add(h, "retired: "+observe.Retire(f.Cause))
	case scaler.FactReady:
		l.add(h, fmt.Sprintf("ready, %s after it was first seen", observe.Span(f.Took)))
	case scaler.FactGone:
		l.add(h, fmt.Sprintf("gone, %s after it was first seen", observe.Span(f.Took)))
	case scaler.FactDelete:
	case scaler.FactPrepare:
		l.add(h, "preparing it is tried again")
	default:
		l.add(h, observe.Sentence(f))
	}
}

// commands notes what was asked about it in this round.
func (l *life) commands(h *History) {
	for i := range h.batch.Commands {
		switch c := &h.batch.Commands[i]; {
		case c.ID != l.id:
		case c.Kind == scaler.CmdPrepare:
			l.add(h, "preparing it began: connect info, the first connection, the ready command")
		case c.Kind == scaler.CmdDelete:
			l.add(h, "the provider was asked to delete it")
		}
	}
}

// grant notes its leases.
func (l *life) grant(h *History, g *scaler.Grant) {
	switch g.Kind {
	case scaler.GrantLease:
		l.add(h, fmt.Sprintf("leased to %q: slot %d, use %d", g.Key, g.Slot, g.Use))
		l.uses = append(l.uses, Use{Key: string(g.Key), Slot: g.Slot, Use: g.Use, From: h.at, Instance: string(g.ID)})
	case scaler.GrantReattached:
		l.add(h, fmt.Sprintf("%q took its lease up again", g.Key))
	case scaler.GrantReleased:
		l.add(h, fmt.Sprintf("%q gave its slot back", g.Key))
		l.uses = end(l.uses, h, string(g.Key), string(g.ID), "released")
	case scaler.GrantRevoked:
		l.add(h, fmt.Sprintf("the lease of %q was revoked: %s", g.Key, observe.Revoke(g.Cause)))
		l.uses = end(l.uses, h, string(g.Key), string(g.ID), g.Cause.String())
	}
}

// end ends the open lease of key. One that began before the journal did is entered, if the state tells since when it was held.
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

// consider keeps the records about it.
func (l *life) consider(r *Record) {
	if r.Instance == string(l.id) {
		l.known = true
		l.records = append(l.records, r)
	}
}

// Instance is the life of Options.Instance; nil: the journal never heard of it.
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

// stillHeld enters the leases that were granted before the journal began.
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

// view finds an instance in the core.
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
