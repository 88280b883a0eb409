package fleet

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// TakeChanges fills c with everything that changed since the last call: each record once, in the order of its first change. c shares memory
// with the register and is valid until the next call.
func (r *Register) TakeChanges(c *record.Changes) {
	c.Put, c.Drop, c.PutIntents, c.DropIntents, c.Meta = c.Put[:0], c.Drop[:0], c.PutIntents[:0], c.DropIntents[:0], nil
	r.arena = r.arena[:0]
	r.round++
	need := 0
	for _, i := range r.dirty {
		need += i.leased
	}
	if cap(r.arena) < need {
		r.arena = make([]record.Lease, 0, need*2)
	}
	for _, i := range r.dirty {
		i.dirty = false
		if r.byID[i.ID] == i { // else it was forgotten: it is in dropped
			c.Put = append(c.Put, record.Instance{})
			r.record(i, &c.Put[len(c.Put)-1])
		}
	}
	r.dirty = r.dirty[:0]
	for _, id := range r.dropped {
		if r.byID[id] == nil {
			c.Drop = append(c.Drop, id)
		}
	}
	r.dropped = r.dropped[:0]
	for _, in := range r.dirtyIntent {
		in.dirty = false
		if !in.closed {
			c.PutIntents = append(c.PutIntents, in.Intent)
		}
	}
	r.dirtyIntent = r.dirtyIntent[:0]
	c.DropIntents = append(c.DropIntents, r.lostIntents...)
	r.lostIntents = r.lostIntents[:0]
	if r.metaDirty {
		r.metaDirty, r.metaOut = false, r.Meta
		c.Meta = &r.metaOut
	}
}

// record writes i's record to the given place. It does not allocate, because it runs at every step of a busy fleet.
func (r *Register) record(i *Instance, to *record.Instance) {
	from := len(r.arena)
	for n := range i.slots {
		if s := &i.slots[n]; s.used {
			r.arena = append(r.arena, record.Lease{Key: s.key, Slot: n, At: s.at, Use: s.use})
		}
	}
	to.ID, to.Serial, to.State, to.Origin, to.Uses, to.Cause, to.DeleteAsked = i.ID, i.Serial, i.State, i.Origin, i.Uses, i.Cause, i.DeleteAsked
	to.CreatedAt, to.StateAt, to.ReadyAt, to.IdleAt = i.Created.Wall, i.Since.Wall, i.ReadyAt.Wall, i.IdleAt.Wall
	to.Leases = r.arena[from:len(r.arena):len(r.arena)]
}

// Load fills an empty register from a saved state. Stored wall times become monotonic times, by the time that passed since. A time in the
// future counts as now. No instance counts as listed until the provider lists it.
func (r *Register) Load(s *record.Saved, now Stamp) error {
	r.Meta = s.Meta
	for n := range s.Instances {
		rec := &s.Instances[n]
		if err := r.load(rec, now); err != nil {
			return err
		}
	}
	for _, rec := range s.Intents {
		in := &Intent{Intent: rec}
		if !in.Answered {
			in.Unsure = in.Open
		}
		r.intents = append(r.intents, in)
		r.intentExpected += in.Open
		r.intentDoubt += in.Doubt
		r.Meta.LastOp = max(r.Meta.LastOp, rec.Op)
	}
	return nil
}

func (r *Register) load(rec *record.Instance, now Stamp) error {
	if r.byID[rec.ID] != nil || rec.State < record.Creating || rec.State > record.Unclaimed {
		return &IllegalMove{ID: rec.ID, From: rec.State, Move: "load"}
	}
	i := &Instance{
		ID: rec.ID, Serial: rec.Serial, State: rec.State, Origin: rec.Origin, Cause: rec.Cause, DeleteAsked: rec.DeleteAsked, Uses: rec.Uses,
		Created: Past(rec.CreatedAt, now), Since: Past(rec.StateAt, now), ReadyAt: Past(rec.ReadyAt, now), IdleAt: Past(rec.IdleAt, now), bucket: -1,
	}
	for _, l := range rec.Leases {
		if _, dup := r.leases[l.Key]; dup || l.Slot < 0 || l.Slot > 1<<20 {
			return &IllegalMove{ID: rec.ID, From: rec.State, Move: "load its leases"}
		}
		for len(i.slots) <= l.Slot {
			i.slots = append(i.slots, slot{})
		}
		if i.slots[l.Slot].used {
			return &IllegalMove{ID: rec.ID, From: rec.State, Move: "load two leases of a slot"}
		}
		i.slots[l.Slot] = slot{key: l.Key, at: l.At, use: l.Use, used: true}
		i.leased++
		r.leased++
		r.leases[l.Key] = lease{on: i, slot: l.Slot}
	}
	r.byID[rec.ID] = i
	r.counts[i.State]++
	r.Meta.LastSerial = max(r.Meta.LastSerial, rec.Serial)
	r.refresh(i)
	return nil
}

// Past returns the moment of a stored wall time, as seen at now. 0 (never) stays 0. A time in the future becomes now.
func Past(wall int64, now Stamp) Stamp {
	if wall == 0 {
		return Stamp{}
	}
	ago := max(time.Duration(now.Wall-wall), 0)
	return Stamp{Mono: now.Mono - ago, Wall: min(wall, now.Wall)}
}
