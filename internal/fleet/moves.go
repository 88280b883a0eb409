package fleet

import "github.com/taskscaler/taskscaler/pkg/record"

// legal holds, for each state, the states that may follow it. Every other move is refused.
var legal = [...]uint16{
	record.Creating:  1<<record.Preparing | 1<<record.Draining | 1<<record.Lost,
	record.Preparing: 1<<record.Ready | 1<<record.Creating | 1<<record.Draining | 1<<record.Lost,
	record.Ready:     1<<record.Draining | 1<<record.Lost,
	record.Draining:  1<<record.Deleting | 1<<record.Lost,
	record.Deleting:  1 << record.Gone,
	record.Gone:      1 << record.Deleting,
	record.Lost:      1<<record.Creating | 1<<record.Deleting,
	record.Unclaimed: 1<<record.Creating | 1<<record.Draining,
}

// CanBecome reports whether the move between the two states is legal.
func CanBecome(from, to record.State) bool {
	return int(from) < len(legal) && legal[from]&(1<<to) != 0
}

// Add adds an instance that was listed for the first time, as Creating or Unclaimed, with the next serial. It replaces a gone or lost
// record with the same ID: that was another instance.
func (r *Register) Add(id record.ID, s record.State, o record.Origin, at Stamp) (*Instance, error) {
	old := r.byID[id]
	if s != record.Creating && s != record.Unclaimed || old != nil && old.State != record.Gone && old.State != record.Lost {
		return nil, &IllegalMove{ID: id, From: s, Move: "add"}
	}
	r.Meta.LastSerial++
	r.TouchMeta()
	if old != nil {
		r.counts[old.State]--
		*old = Instance{Attached: old.Attached, dirty: old.dirty}
	} else {
		old = &Instance{}
		r.byID[id] = old
	}
	old.ID, old.Serial, old.State, old.Origin, old.Created, old.Since, old.bucket = id, r.Meta.LastSerial, s, o, at, at, -1
	r.counts[s]++
	r.touch(old)
	r.refresh(old)
	return old, nil
}

// move changes the state, updates the sums and stamps the instance.
func (r *Register) move(i *Instance, to record.State, name string, at Stamp) error {
	if legal[i.State]&(1<<to) == 0 {
		return &IllegalMove{ID: i.ID, From: i.State, Move: name}
	}
	r.counts[i.State]--
	r.counts[to]++
	i.State, i.Since = to, at
	r.touch(i)
	r.refresh(i)
	return nil
}

// SetListed records what the latest list says about i. It is not stored: after a restart the provider is asked again.
func (r *Register) SetListed(i *Instance, l Listed) {
	i.Listed = l
	if l != ListedAbsent {
		i.Suspect = false
	}
	r.refresh(i)
}

// SetUnreachable records whether the provider can say how to reach i. It is not stored: after a restart the next caller finds out.
func (r *Register) SetUnreachable(i *Instance, yes bool) {
	i.Unreachable = yes
	r.refresh(i)
}

// SetSuspect makes an absent instance count as no supply.
func (r *Register) SetSuspect(i *Instance) {
	i.Suspect = true
	r.refresh(i)
}

// Prepare records that the instance is running: Creating → Preparing.
func (r *Register) Prepare(i *Instance, at Stamp) error {
	return r.move(i, record.Preparing, "prepare", at)
}

// Unprepare records that the provider no longer lists it as running: Preparing → Creating.
func (r *Register) Unprepare(i *Instance, at Stamp) error {
	if i.State != record.Preparing {
		return &IllegalMove{ID: i.ID, From: i.State, Move: "unprepare"}
	}
	return r.move(i, record.Creating, "unprepare", at)
}

// Ready makes it available for leases: Preparing → Ready.
func (r *Register) Ready(i *Instance, at Stamp) error {
	if i.State == record.Preparing {
		i.ReadyAt, i.IdleAt = at, at
	}
	i.Unreachable = false
	return r.move(i, record.Ready, "ready", at)
}

// Drain stops new leases on it: Creating, Preparing, Ready, Unclaimed → Draining. Drop its claims first (UnclaimAll).
func (r *Register) Drain(i *Instance, why record.Cause, at Stamp) error {
	if i.claims > 0 {
		return &IllegalMove{ID: i.ID, From: i.State, Move: "drain with a claim"}
	}
	if err := r.move(i, record.Draining, "drain", at); err != nil {
		return err
	}
	i.Cause = why
	return nil
}

// Delete records that the provider is about to be asked to delete it: Draining → Deleting, or Gone, Lost → Deleting for one that is listed
// again. It is refused while a lease is live. With CauseNone the instance keeps the cause for which it was retired.
func (r *Register) Delete(i *Instance, why record.Cause, at Stamp) error {
	if i.leased > 0 {
		return &IllegalMove{ID: i.ID, From: i.State, Move: "delete with a lease"}
	}
	if err := r.move(i, record.Deleting, "delete", at); err != nil {
		return err
	}
	i.DeleteAsked = true
	if why != record.CauseNone {
		i.Cause = why
	}
	return nil
}

// Finish records that it is deleted and no longer listed: Deleting → Gone.
func (r *Register) Finish(i *Instance, at Stamp) error { return r.move(i, record.Gone, "finish", at) }

// Lose records that it vanished although we did not delete it: Creating, Preparing, Ready, Draining → Lost. Revoke its leases and drop its
// claims first. An instance that was draining keeps the cause for which it was retired.
func (r *Register) Lose(i *Instance, why record.Cause, at Stamp) error {
	if i.leased > 0 {
		return &IllegalMove{ID: i.ID, From: i.State, Move: "lose with a lease"}
	}
	if i.claims > 0 {
		return &IllegalMove{ID: i.ID, From: i.State, Move: "lose with a claim"}
	}
	retired := i.State == record.Draining
	if err := r.move(i, record.Lost, "lose", at); err != nil {
		return err
	}
	if !retired {
		i.Cause = why
	}
	return nil
}

// Blame records why a lost instance must not be used any more, should it be listed again. It is refused in any other state.
func (r *Register) Blame(i *Instance, why record.Cause) error {
	if i.State != record.Lost {
		return &IllegalMove{ID: i.ID, From: i.State, Move: "blame"}
	}
	i.Cause = why
	r.touch(i)
	return nil
}

// Return takes back a lost instance that is listed again and that we never asked to delete: Lost → Creating. Its uses still count.
func (r *Register) Return(i *Instance, at Stamp) error {
	if i.State != record.Lost || i.DeleteAsked {
		return &IllegalMove{ID: i.ID, From: i.State, Move: "return"}
	}
	i.Cause = record.CauseNone
	return r.move(i, record.Creating, "return", at)
}

// Adopt makes an unclaimed instance ours: Unclaimed → Creating.
func (r *Register) Adopt(i *Instance, at Stamp) error {
	if i.State != record.Unclaimed {
		return &IllegalMove{ID: i.ID, From: i.State, Move: "adopt"}
	}
	i.Origin = record.Adopted
	return r.move(i, record.Creating, "adopt", at)
}

// Forget removes a gone, lost or unclaimed instance from the register.
func (r *Register) Forget(i *Instance) error {
	if i.State != record.Gone && i.State != record.Lost && i.State != record.Unclaimed {
		return &IllegalMove{ID: i.ID, From: i.State, Move: "forget"}
	}
	r.counts[i.State]--
	delete(r.byID, i.ID)
	r.dropped = append(r.dropped, i.ID)
	return nil
}
