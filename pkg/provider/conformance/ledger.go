package conformance

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// ledger is what is known of the machines of the group. It is used under session.mu.
type ledger struct {
	known    map[string]*machine
	order    []string // ids in the order in which they were first listed
	allowed  int      // how many new ids may still appear: what Increase accepted
	inflight int      // what running calls of Increase ask for
	doubtful int      // what calls of Increase asked for whose outcome is unknown
	extra    []loss   // new ids that no Increase accounts for, and that no check has claimed
	lost     []loss   // what went without Decrease, and what no check has claimed
	badIDs   bool
	listed   int // complete lists that were merged
	tick     int // counts beginnings and ends of lists
	lastEnd  int // the tick at which the last merged list ended
}

// machine is one machine of the group.
type machine struct {
	state    provider.State
	furthest int // the furthest state, see rank
	top      provider.State
	own      bool // made by this run
	existing bool // there before this run
	asked    bool // Decrease was called for it
	gone     bool
	stray    bool // nobody asked for it; it counts for nothing
	missed   bool // known to be absent from a list although it exists
	seen     time.Time
}

type loss struct{ id, text string }

// entry is one report of Update.
type entry struct {
	id    string
	state provider.State
}

// rank orders the states of a machine's life. Suspended machines are as far as running ones.
func rank(s provider.State) int {
	switch s {
	case provider.StateRunning, provider.StateSuspending, provider.StateSuspended, provider.StateResuming:
		return 1
	case provider.StateTimeout:
		return 2
	case provider.StateDeleting:
		return 3
	case provider.StateDeleted:
		return 4
	}
	return 0
}

// lookUp makes one list and merges it into the ledger.
func (s *session) lookUp(ctx context.Context) (map[string]provider.State, error) {
	s.mu.Lock()
	s.tick++
	began := s.tick
	s.mu.Unlock()
	entries, err := attempt(ctx, s, "Update", func(ctx context.Context) ([]entry, error) { return update(ctx, s.group) })
	if err != nil {
		return nil, err
	}
	listed, missing := s.merge(entries, began)
	for _, id := range missing {
		s.missing(ctx, id)
	}
	return listed, nil
}

// update collects a list. Reports after the return of Update are ignored.
func update(ctx context.Context, g provider.InstanceGroup) ([]entry, error) {
	var mu sync.Mutex
	var entries []entry
	ended := false
	err := g.Update(ctx, func(id string, state provider.State) {
		mu.Lock()
		defer mu.Unlock()
		if !ended {
			entries = append(entries, entry{id, state})
		}
	})
	mu.Lock()
	defer mu.Unlock()
	ended = true
	return entries, err
}

// merge checks a complete list that began at the tick began, and returns it and the ids that are missing from it. A list that overlapped with
// another one proves nothing about the order of states, so only its form is checked.
func (s *session) merge(entries []entry, began int) (listed map[string]provider.State, missing []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	listed = s.form(entries)
	if began < s.lastEnd {
		return listed, nil
	}
	s.tick++
	s.lastEnd = s.tick
	s.listed++
	for _, e := range entries {
		if state, ok := listed[e.id]; ok {
			s.see(e.id, state)
		}
	}
	for _, id := range s.order {
		m := s.known[id]
		if _, ok := listed[id]; ok || m.gone || m.stray {
			continue
		}
		switch {
		case m.asked:
			m.gone = true
		case !m.missed:
			missing = append(missing, id)
		}
	}
	return listed, missing
}

// form checks what can be seen in one list alone.
func (s *session) form(entries []entry) map[string]provider.State {
	listed := map[string]provider.State{}
	for _, e := range entries {
		if err := provider.CheckID(e.id); err != nil {
			s.badIDs = true
			s.noteLocked("ids-form", "Report ids of 1 to 512 bytes of printable UTF-8: see provider.CheckID. Skip an entry without one, or return an error.", "Update reported an id that %v", err)
			continue
		}
		if _, twice := listed[e.id]; twice {
			s.noteLocked("ids-unique", "Report each machine once, with one state. Look at the borders of pages.", "Update reported %q twice in one list", e.id)
			continue
		}
		switch e.state {
		case provider.StateCreating, provider.StateRunning, provider.StateDeleting, provider.StateDeleted, provider.StateTimeout,
			provider.StateSuspending, provider.StateSuspended, provider.StateResuming:
		default:
			s.noteLocked("states-known", "Map every state of the provider to a State constant; one that you do not know is creating.", "Update reported %q in the state %q", e.id, e.state)
		}
		listed[e.id] = e.state
	}
	return listed
}

// see takes over one entry of a list.
func (s *session) see(id string, state provider.State) {
	m := s.known[id]
	if m != nil && m.gone && (state == provider.StateDeleting || state == provider.StateDeleted) {
		return // its end is told once more
	}
	if m == nil || m.gone { // a name may be used again
		if m == nil {
			s.order = append(s.order, id)
		}
		m = s.arrival(id, state, m != nil)
		s.known[id] = m
	}
	if m.missed {
		m.missed = false
		s.lost = slices.DeleteFunc(s.lost, func(l loss) bool { return l.id == id })
		s.incomplete(id, "it was in a later list again")
	}
	switch r := rank(state); {
	case r >= m.furthest:
		m.furthest, m.top = r, state
	case m.asked && m.furthest < rank(provider.StateDeleting): // some clouds have one word for every change
	default:
		s.noteLocked("states-forward", "Report what the provider says now. A machine only moves on: creating, running, deleting, deleted.", "%q was %s and is %s", id, m.top, state)
	}
	if gone := state == provider.StateDeleting || state == provider.StateDeleted; gone && !m.asked && !m.missed && !m.stray && m.state != state {
		m.asked = true // its end is told here
		s.lost = append(s.lost, loss{id, fmt.Sprintf("%q is %s, although Decrease did not name it", id, state)})
	}
	m.state = state
	if state == provider.StateDeleted {
		m.gone = m.asked
	}
}

// arrival returns a new machine. Whoever accounts for it is found out here.
func (s *session) arrival(id string, state provider.State, again bool) *machine {
	m := &machine{state: state, top: state, furthest: rank(state), seen: time.Now()}
	switch {
	case s.listed == 1:
		m.existing = true
	case s.inflight+s.allowed+s.doubtful <= 0:
		text := "Update reported a new machine %q, which no Increase has asked for"
		if again {
			text = "Update reported %q again, which it had no longer reported after Decrease"
		}
		s.extra = append(s.extra, loss{id, fmt.Sprintf(text, id)})
		m.stray = true
	default:
		m.own = true
		if s.allowed--; s.allowed < 0 && s.inflight == 0 {
			s.allowed, s.doubtful = 0, s.doubtful-1
		}
	}
	return m
}

func (s *session) incomplete(id, how string) {
	s.noteLocked("list-complete", "Report every machine, or return an error. Read all pages, and do not leave out a machine whose details cannot be read.",
		"%q was missing from a list without an error, and %s", id, how)
}

// missing finds out what became of a machine that is no longer listed, although nobody removed it.
func (s *session) missing(ctx context.Context, id string) {
	s.mu.Lock()
	running := s.known[id].state == provider.StateRunning
	s.mu.Unlock()
	exists := false
	if running {
		info, err := attempt(ctx, s, "ConnectInfo", func(ctx context.Context) (provider.ConnectInfo, error) { return s.group.ConnectInfo(ctx, id) })
		exists = err == nil && (info.ExternalAddr != "" || info.InternalAddr != "")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if exists {
		s.incomplete(id, "ConnectInfo still knows it")
		return
	}
	s.known[id].missed = true
	s.lost = append(s.lost, loss{id, fmt.Sprintf("%q is no longer listed, although Decrease did not name it", id)})
}

// confirmLost lists again if machines are lost: one that is there again was only left out of a list.
func (s *session) confirmLost() {
	for range 2 {
		if s.anyLost() && s.group != nil && s.whyHalted() == "" {
			_, _ = s.lookUp(s.ctx)
		}
	}
}

// takeLost returns what went without Decrease since it was called last.
func (s *session) takeLost() []loss {
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := s.lost
	s.lost = nil
	return lost
}

func (s *session) anyLost() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lost) > 0
}

// takeExtra returns the new ids that no Increase accounts for.
func (s *session) takeExtra() []loss {
	s.mu.Lock()
	defer s.mu.Unlock()
	extra := s.extra
	s.extra = nil
	return extra
}

// pick returns the ids of the machines for which f is true, in the order of their arrival.
func (s *session) pick(f func(*machine) bool) (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.order {
		if f(s.known[id]) {
			ids = append(ids, id)
		}
	}
	return ids
}

func isPresent(m *machine) bool {
	return !m.gone && !m.stray && !m.missed && m.state != provider.StateDeleted
}
func isOwn(m *machine) bool { return m.own && isPresent(m) && !m.asked && !isAsleep(m) }
func isAsleep(m *machine) bool {
	return m.state == provider.StateSuspending || m.state == provider.StateSuspended || m.state == provider.StateResuming
}

func isReady(m *machine) bool { return isOwn(m) && m.state == provider.StateRunning }
