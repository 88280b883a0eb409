package dst

import (
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// observer models the shell's observer: it asks for lists and reports differences.
type observer struct {
	since  time.Duration // when the list in progress was asked for
	first  bool          // a complete list arrived in this life
	tries  int
	listNo uint64

	hangList bool // the list in progress is answered only by its time-out
}

// watch starts the observer of a new life, which has seen no list.
func (w *world) watch() {
	w.observer = observer{listNo: w.listNo}
	for _, m := range w.machines {
		if m.shown != fleet.ListedAbsent {
			m.shown, m.missed = fleet.ListedAbsent, 0
		}
		m.lacked, m.lackedAt, m.bad.least, m.bad.most = 0, w.now.Mono, 0, 0
		m.lackedTwice, m.strayTo = false, 0
	}
	w.nextList(0)
}

// interval is the time to the next list.
func (w *world) interval() time.Duration {
	d := w.cfg.UpdateInterval
	switch {
	case !w.first:
		d = min(d, 2*time.Second<<min(max(w.tries-1, 0), 10))
	case w.expecting:
		d = min(d, 2*time.Second)
	}
	return d
}

// expect follows Batch.Expecting: it may bring the next list nearer.
func (w *world) expect(yes bool) {
	if yes && !w.expecting && w.since == 0 {
		w.expecting = true
		w.nextList(2 * time.Second)
		return
	}
	w.expecting = yes
}

// nextList schedules the next list and cancels the one that was scheduled.
func (w *world) nextList(d time.Duration) {
	w.listNo++
	w.later(d, itemListAsk, int(w.listNo), 0)
}

func (w *world) askList() {
	if w.since != 0 {
		return
	}
	w.since = w.now.Mono
	if w.hangList = w.hit(FaultListHangs); w.hangList {
		w.later(pick(&w.dice, 30*time.Second, 2*time.Minute, 10*time.Minute), itemListAnswer, 0, 0)
		return
	}
	d := w.roll(streamLatency)
	w.later(d.span(20*time.Millisecond, 1500*time.Millisecond), itemListAnswer, 0, 0)
}

// answerList reports the list that was asked for at since, as the provider had it or as a fault changes it.
func (w *world) answerList() {
	since := w.since
	w.since = 0
	if w.faulty {
		w.disturb()
	}
	if w.away() || w.hangList || w.hit(FaultListFails) {
		if !w.first {
			w.tries++
		}
		kind := failure.Transient
		if !w.away() {
			kind = pick(&w.dice, failure.Transient, failure.Throttled, failure.Config)
		}
		w.step(scaler.Event{Kind: scaler.EvListFailed, Away: w.away() || w.hangList, Failure: failure.Failure{Kind: kind, Message: "planted"}})
		w.hangList = false
		w.nextList(w.interval())
		return
	}
	lacks := len(w.machines) // the list is cut off before this index
	asOf := since + (w.now.Mono-since)/2
	repeated := false
	switch {
	case w.hit(FaultListRepeats) && w.first:
		repeated = true
	case w.hit(FaultListEmpty):
		lacks = 0
	case w.hit(FaultListTruncates):
		lacks = w.dice.below(len(w.machines) + 1)
	case w.hit(FaultListLags):
		asOf -= w.dice.skewed(time.Second, 3*time.Minute)
	}
	exact := w.fed == 0 // the committed states are those that the manager has
	firstOf := !w.first
	w.first, w.tries = true, 0
	news := false
	if !repeated {
		news = w.report(asOf, lacks)
		w.noteShort(firstOf, exact)
	}
	for _, m := range w.machines {
		if m.shown == fleet.ListedAbsent && m.born < since {
			m.missed++
			m.lacked++
		}
	}
	if news || w.faulty || w.steps == 0 || w.real.AwaitsList() {
		w.listedAt = since
		w.step(scaler.Event{Kind: scaler.EvListed, Since: since})
	}
	w.nextList(w.interval())
}

// report steps the differences between the last list and the list as of that time.
func (w *world) report(asOf time.Duration, lacks int) (news bool) {
	for n, m := range w.machines {
		word := fleet.ListedAbsent
		if n < lacks {
			word = w.wordOf(m, asOf)
		}
		if word == fleet.ListedAbsent || word == m.shown {
			continue
		}
		if m.state == 0 || m.state == record.Gone || m.state == record.Lost || m.state == record.Deleting && w.fed > 0 { // it may be gone by now
			w.arrived++
		}
		if m.state == record.Deleting || m.state == record.Gone { // the name of a deleted machine is listed again
			m.wasGone, w.namesAt = true, w.now.Mono
			if w.owed() {
				m.accepts = 0 // it may be a new machine under this name
			}
		}
		switch {
		case m.shown == fleet.ListedAbsent:
			if m.foreign || m.missed >= w.cfg.MissingLists {
				w.confused = true
			}
			if m.denied && m.state == 0 && w.core.Summary().Requested > 0 { // the core counts it for another create: a consequence of the false answer (ADR 4)
				w.confused = true
			}
			m.wasShown, m.shown, m.missed = m.shown, word, 0
			w.step(scaler.Event{Kind: scaler.EvAppeared, ID: m.id, Listed: word})
		default:
			if m.shown == fleet.ListedRunning {
				m.ran = w.batchNo
			}
			m.wasShown, m.shown = m.shown, word
			w.step(scaler.Event{Kind: scaler.EvChanged, ID: m.id, Listed: word})
		}
		if word == fleet.ListedRunning {
			m.ran, m.strayTo = w.batchNo, 0
		}
		news = true
	}
	for n, m := range w.machines {
		if m.shown == fleet.ListedRunning {
			m.ran, m.ranBefore, m.ranAt = w.batchNo, m.ranAt, w.now.Mono
		}
		if m.shown != fleet.ListedAbsent && (n >= lacks || w.wordOf(m, asOf) == fleet.ListedAbsent) {
			m.wasShown, m.shown, m.missed, m.lacked, m.lackedAt = m.shown, fleet.ListedAbsent, 0, 0, w.now.Mono
			m.lackedTwice, m.lackedNow = false, true
			news = true
			w.step(scaler.Event{Kind: scaler.EvMissing, ID: m.id})
		}
	}
	return news
}

// noteShort notes which machines need twice as many lists to count as lost: the list that was the first to lack them lost more than half of more
// than four. The first list of a life can lack everything that was committed.
func (w *world) noteShort(first, exact bool) {
	lost, shown := 0, 0
	for _, m := range w.machines {
		m.lackedNow = m.shown == fleet.ListedAbsent && (m.lackedNow || first) && m.state != 0 && m.state != record.Gone && m.state != record.Lost
		if m.lackedNow {
			lost++
		} else if m.shown != fleet.ListedAbsent {
			shown++
		}
	}
	short := exact && lost+shown > 4 && lost > shown
	for _, m := range w.machines {
		m.lackedTwice = m.lackedTwice || short && m.lackedNow
		m.lackedNow = false
	}
}

// wordOf is the state of m in a list as of t.
func (w *world) wordOf(m *machine, t time.Duration) fleet.Listed {
	switch {
	case !m.exists(t), w.faulty && t < m.hidden:
		return fleet.ListedAbsent
	case t >= m.dying:
		return fleet.ListedDeleting
	case t < m.wordTo && m.flaps:
		if t/(40*time.Second)%2 == 0 {
			return fleet.ListedCreating
		}
		return fleet.ListedSuspended
	case t < m.wordTo:
		return m.word
	case t < m.runs:
		return fleet.ListedCreating
	}
	return fleet.ListedRunning
}

// disturb draws what happens to machines between two lists.
func (w *world) disturb() {
	now := w.now.Mono
	if w.hit(FaultVanishes) {
		if m := w.anyMachine(&w.dice); m != nil {
			m.gone = now
			if k := m.no; w.hit(FaultComesBack) {
				w.add(item{at: now + w.dice.skewed(10*time.Second, 20*time.Minute), kind: itemRise, n: int32(k), ev: -1})
			}
		}
	}
	if w.hit(FaultReclaimed) {
		if m := w.anyMachine(&w.dice); m != nil && m.dying == never {
			m.dying, m.gone = now, now+w.dice.span(0, time.Minute)
		}
	}
	if w.hit(FaultLies) {
		if m := w.anyMachine(&w.dice); m != nil {
			m.flaps = false
			m.word, m.wordTo = fleet.Listed(1+w.dice.below(6)), now+w.dice.skewed(time.Second, 5*time.Minute)
		}
	}
	if w.hit(FaultGoesBackwards) {
		if m := w.anyMachine(&w.dice); m != nil && m.runs <= now {
			m.word = pick(&w.dice, fleet.ListedCreating, fleet.ListedSuspended)
			m.wordTo = now + w.dice.skewed(time.Second, 10*time.Minute)
			if m.flaps = w.dice.below(3) == 0; m.flaps {
				m.wordTo = now + w.dice.span(5*time.Minute, 20*time.Minute)
			}
		}
	}
	if w.hit(FaultHidden) {
		if m := w.anyMachine(&w.dice); m != nil {
			m.hidden = now + w.dice.skewed(5*time.Second, 10*time.Minute)
		}
	}
	if w.hit(FaultQuotaShrinks) {
		w.quota, w.quotaTo = max(w.existing()-w.dice.below(3), 0), now+w.dice.skewed(30*time.Second, 20*time.Minute)
	}
}

// owed reports whether a create may still bring a machine.
func (w *world) owed() bool {
	return slices.ContainsFunc(w.saved.Intents, func(r record.Intent) bool { return r.Open+r.Doubt+r.Faded > 0 })
}
