package check

import (
	"fmt"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// story builds a History on a clock that goes on by a second with each entry.
type story struct {
	h       History
	now     time.Time
	execs   map[string]uint64
	numbers map[string]uint64 // of a key's command on its instance
}

func newStory(l Limits) *story {
	s := &story{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), execs: map[string]uint64{}, numbers: map[string]uint64{}}
	s.log(Entry{Event: Begin, Limits: &l})
	return s
}

func (s *story) tick() time.Time {
	s.now = s.now.Add(time.Second)
	return s.now
}

func (s *story) log(e Entry) {
	e.Time = s.tick()
	s.h.Log = append(s.h.Log, e)
}

func (s *story) events(events ...Event) {
	for _, e := range events {
		s.log(Entry{Event: e})
	}
}

func (s *story) rec(id string, e record.Entry) {
	e.Time, e.Instance = s.tick(), id
	for i := range s.h.Records {
		if s.h.Records[i].Instance == id {
			s.h.Records[i].Entries = append(s.h.Records[i].Entries, e)
			return
		}
	}
	s.h.Records = append(s.h.Records, Record{Instance: id, Entries: []record.Entry{e}})
}

func (s *story) recs(id string, events ...record.Event) {
	for _, e := range events {
		s.rec(id, record.Entry{Event: e})
	}
}

func code(n int) *int { return &n }

// asked asks for a job; its nonce is made of its key.
func (s *story) asked(key string) { s.log(Entry{Event: Asked, Key: key, Nonce: "N" + key + "N"}) }

func (s *story) begins(key, id string, slot, use int) {
	s.execs[id]++
	s.numbers[key] = s.execs[id]
	s.rec(id, record.Entry{
		Event: record.CommandStart, Exec: s.execs[id], Key: key, Slot: fmt.Sprint(slot), Use: fmt.Sprint(use), Command: "echo N" + key + "N",
	})
}

// ends ends a key's command by itself, or with a signal.
func (s *story) ends(key, id, signal string) {
	e := record.Entry{Event: record.CommandEnd, Exec: s.numbers[key], Signal: signal}
	if signal == "" {
		e.ExitCode = code(0)
	}
	s.rec(id, e)
}

func (s *story) told(key string, exit *int) {
	e := Entry{Event: Told, Key: key, Code: exit}
	if exit != nil && *exit == 0 {
		e.Output = "N" + key + "N\n"
	}
	s.log(e)
}

func (s *story) status(instances ...StatusInstance) {
	asked := s.tick()
	s.log(Entry{Event: StatusAnswered, Status: &Status{Asked: asked, Started: true, Instances: instances}})
}

func ready(id string, uses int, leases ...StatusLease) StatusInstance {
	return StatusInstance{ID: id, State: "ready", Uses: uses, Leases: leases}
}

func (s *story) done() *History {
	s.events(ManagerStopped)
	s.log(Entry{Event: ManagerEnded, Code: code(0)})
	s.log(Entry{Event: End, Left: &Left{}})
	return &s.h
}

var limits = Limits{Capacity: 2, MaxUses: 3, MaxInstances: 2}

// good is a small history in which everything happens that may. Instances: "a" serves three jobs and is used up; "b" dies under one; "c" is
// reclaimed with notice; "d" has a client killed and is retired; "e" loses its maker.
func good() *History {
	s := newStory(limits)
	s.events(ManagerStarted, ManagerServes)
	s.asked("j1")
	s.asked("j2")
	s.recs("a", record.Created, record.Booted)
	s.status(ready("a", 0))
	s.begins("j1", "a", 0, 1)
	s.begins("j2", "a", 1, 2)
	s.status(ready("a", 2, StatusLease{Key: "j1", Slot: 0}, StatusLease{Key: "j2", Slot: 1}))
	s.events(ManagerKilled, ManagerEnded)
	s.asked("refused")
	s.told("refused", code(codeRefused))
	s.events(ManagerStarted, ManagerServes)
	s.status(ready("a", 2, StatusLease{Key: "j1", Slot: 0, Detached: true}, StatusLease{Key: "j2", Slot: 1}))
	s.ends("j1", "a", "")
	s.told("j1", code(0))
	s.asked("j3")
	s.begins("j3", "a", 0, 3)
	s.ends("j2", "a", "")
	s.told("j2", code(0))
	s.log(Entry{Event: ClientCancelled, Key: "j3"})
	s.ends("j3", "a", "TERM")
	s.told("j3", code(codeInterrupted))
	s.recs("a", record.Deleting)
	s.status(StatusInstance{ID: "a", State: "deleting", Uses: 3, Cause: "used_up"})
	s.recs("a", record.Deleted)
	s.status(StatusInstance{ID: "a", State: "gone", Uses: 3, Cause: "used_up"})

	s.asked("j4")
	s.recs("b", record.Created, record.Booted)
	s.begins("j4", "b", 0, 1)
	s.log(Entry{Event: MachineKilled, Instance: "b"})
	s.told("j4", code(codeLost))
	s.recs("b", record.Died)
	s.status(StatusInstance{ID: "b", State: "lost", Uses: 1, Cause: "missing"})

	s.asked("j5")
	s.recs("c", record.Created, record.Booted)
	s.begins("j5", "c", 1, 1)
	s.recs("c", record.Reclaiming, record.Deleting)
	s.ends("j5", "c", "KILL")
	s.told("j5", code(codeLost))
	s.recs("c", record.Deleted)

	s.asked("j6")
	s.asked("j7")
	s.recs("d", record.Created, record.Booted)
	s.recs("e", record.Died)
	s.begins("j6", "d", 0, 1)
	s.begins("j7", "d", 1, 2)
	s.log(Entry{Event: ClientKilled, Key: "j6"})
	s.ends("j6", "d", "KILL")
	s.told("j6", nil)
	s.ends("j7", "d", "")
	s.told("j7", code(0))
	s.recs("d", record.Deleting, record.Deleted)
	return s.done()
}

// clone is a deep copy.
func clone(h *History) *History {
	out := &History{Log: slices.Clone(h.Log)}
	for _, r := range h.Records {
		r.Entries = slices.Clone(r.Entries)
		for i := range r.Entries {
			r.Entries[i].ExitCode = copied(r.Entries[i].ExitCode)
		}
		out.Records = append(out.Records, r)
	}
	for i := range out.Log {
		e := &out.Log[i]
		e.Limits, e.Code, e.Status, e.Left = copied(e.Limits), copied(e.Code), copied(e.Status), copied(e.Left)
		if e.Status == nil {
			continue
		}
		e.Status.Instances = slices.Clone(e.Status.Instances)
		for n := range e.Status.Instances {
			e.Status.Instances[n].Leases = slices.Clone(e.Status.Instances[n].Leases)
		}
	}
	return out
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
