package dst

import (
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestPlaceOracle: a caller that is told another place in the queue than its own, or another time, is noticed.
func TestPlaceOracle(t *testing.T) {
	for name, tamper := range map[string]func(w *world){
		"the order": func(w *world) {
			if n := len(w.waits); n > 2 {
				w.waits[n-1], w.waits[n-2] = w.waits[n-2], w.waits[n-1]
			}
		},
		"the time": func(w *world) {
			for i := range w.waits {
				w.waits[i].since--
			}
		},
		"one that does not wait": func(w *world) {
			if len(w.waits) == 0 {
				w.waits = append(w.waits, place{key: "nobody"})
			}
		},
	} {
		s := &stage{}
		for seed := uint64(1); ; seed++ {
			o := optionsOf(seed)
			o.tamper = tamper
			out := s.play(o)
			if out.broken == nil && seed < 100 {
				continue
			}
			if out.broken == nil || out.broken.Invariant != "place" {
				t.Errorf("%s, seed %d: %v", name, seed, out.broken)
			}
			break
		}
	}
}

// TestDoubtOracle: what is in doubt of a create is given up after three lists since the latest of its doubts, and a create that has nothing to bring
// is forgotten. Histories of batches: what the core heard, what it said, and what is committed then.
func TestDoubtOracle(t *testing.T) {
	at := began + time.Hour
	answer := func(count int, kind failure.Kind) scaler.Event {
		return scaler.Event{Kind: scaler.EvIncreased, Op: 7, Count: count, Failure: failure.Failure{Kind: kind}}
	}
	list := scaler.Event{Kind: scaler.EvListed, Since: at}
	says := func(why record.Cause) []scaler.Fact {
		return []scaler.Fact{{Kind: scaler.FactIntent, Op: 7, Count: 1, Cause: why, At: scaler.Time{Mono: at}}}
	}
	other := []scaler.Fact{{Kind: scaler.FactAppeared, Op: 9, ID: "i-1", At: scaler.Time{Mono: at}}}
	type batch struct {
		heard []scaler.Event
		facts []scaler.Fact
		left  record.Intent
	}
	doubtful := record.Intent{Op: 7, Asked: 2, Doubt: 1, Answered: true}
	lists := func(n int) []scaler.Event {
		var out []scaler.Event
		for range n {
			out = append(out, list)
		}
		return out
	}
	faded := record.Intent{Op: 7, Asked: 2, Faded: 1, Answered: true}
	open := record.Intent{Op: 7, Asked: 2, Open: 2}
	for name, c := range map[string]struct {
		batches []batch
		well    bool
	}{
		"given up in time": {[]batch{{[]scaler.Event{answer(1, failure.Capacity)}, nil, doubtful}, {lists(3), says(record.CauseMissing), faded}}, true},
		"too early":        {[]batch{{[]scaler.Event{answer(1, failure.Capacity)}, nil, doubtful}, {lists(2), says(record.CauseMissing), faded}}, false},
		"never":            {[]batch{{[]scaler.Event{answer(1, failure.Capacity)}, nil, doubtful}, {lists(3), nil, doubtful}}, false},
		"never said":       {[]batch{{[]scaler.Event{answer(0, failure.Transient)}, nil, open}, {lists(3), nil, open}}, false},
		"a new doubt": {[]batch{{[]scaler.Event{answer(0, failure.Transient)}, nil, open}, {lists(2), nil, open},
			{nil, says(record.CauseBootOverdue), doubtful}, {lists(1), says(record.CauseMissing), faded}}, false},
		"overdue, and another appears": {[]batch{{nil, says(record.CauseBootOverdue), doubtful}, {nil, other, doubtful},
			{lists(3), nil, doubtful}}, true},
		"the same, given up at once": {[]batch{{nil, says(record.CauseBootOverdue), doubtful}, {nil, other, doubtful},
			{lists(3), says(record.CauseMissing), faded}}, false},
		"all appeared": {[]batch{{[]scaler.Event{answer(2, failure.Transient)}, nil, record.Intent{Op: 7, Asked: 2}}}, false},
		"no answer":    {[]batch{{nil, nil, record.Intent{Op: 7, Asked: 2}}}, true},
	} {
		w := &world{lastStep: at, cover: &coverage{}}
		w.cfg = scaler.Config{MissingLists: 3, RequestedDeadline: time.Minute}
		w.saved.Intents = []record.Intent{open}
		for n := range c.batches {
			w.creates0 = append(w.creates0[:0], w.saved.Intents...)
			w.fed = 0
			for i := range c.batches[n].heard {
				w.fed++
				w.doubtHears(&c.batches[n].heard[i])
			}
			for i := range c.batches[n].facts {
				c.batches[n].facts[i].Event = max(w.fed-1, 0)
			}
			w.saved.Intents = []record.Intent{c.batches[n].left}
			w.judgeDoubts(&scaler.Batch{Facts: c.batches[n].facts})
		}
		if (w.broken == nil) != c.well || !c.well && w.broken.Invariant != "doubt" {
			t.Errorf("%s: %v", name, w.broken)
		}
	}
}
