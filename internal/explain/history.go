package explain

import (
	"fmt"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Options say what a History keeps.
type Options struct {
	Location *time.Location // of the times in sentences; nil: UTC
	Keep     int            // the latest records that are kept; 0: all
	Around   time.Time      // keep that many on each side of this moment instead; see History.Around
	Instance record.ID      // an instance whose life is followed
	Key      record.Key     // a caller's key whose waits and leases are followed

	// Record is told each record when the round that made it is over. What is added to its chain and outcome later is not told. nil: nobody.
	Record func(*Record)
}

// Span is what a History has seen.
type Span struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Rounds int       `json:"rounds"`
	Events int       `json:"events"`
	Lives  int       `json:"lives"` // of the manager
	Gaps   int       `json:"gaps"`
}

// History is what happened to a group, and why. It is not safe for concurrent use.
type History struct {
	opts     Options
	core     *scaler.Core
	policies []policy.Policy
	schedule *policy.Schedule // that policies are of
	cfg      scaler.Config    // in force, as of the last reload

	lastWords string // of the latest create or preparation that failed
	records   []*Record
	fresh     []*Record // of this round
	span      Span
	waits     Split

	// The round that is being taken in.
	now    scaler.Time
	at     time.Time // its wall time, in the location of the sentences
	events []scaler.Event
	batch  *scaler.Batch
	sum    scaler.Summary // after it
	before scaler.Summary // after the one before

	last      scaler.Time             // of the round before
	creations map[uint64]*creation    // those that not all instances of have come yet
	booting   map[record.ID]*creation // by the instances that are not ready yet
	removals  map[record.ID]*removal
	beats     map[record.ID]*beats
	absent    map[record.ID]time.Time // since when the lists lack it
	callers   map[record.Key]*caller
	listFail  *Record // lists have failed since

	life *life
	key  *keyLife
}

// NewHistory returns a History that has seen nothing.
func NewHistory(o Options) *History {
	if o.Location == nil {
		o.Location = time.UTC
	}
	h := &History{opts: o, waits: Split{}}
	if o.Instance != "" {
		h.life = &life{id: o.Instance}
	}
	if o.Key != "" {
		h.key = &keyLife{key: o.Key}
	}
	return h
}

// Entry is how a core that was not seen before follows what came before it.
type Entry uint8

// The entries.
const (
	EntryLife    Entry = iota // a manager began
	EntryGap                  // rounds are missing: a wait or a removal that stands across is not measured
	EntryMiddle               // what there is begins in the middle of a manager's life
	EntrySegment              // the core is a copy of the one before: nothing happened
)

// Begin takes in how things stood before the next round, whose core was not seen before, and how that hangs together with the round before.
// Without it the next round itself is the beginning of a new life.
func (h *History) Begin(core *scaler.Core, now scaler.Time, how Entry) {
	if how == EntrySegment && h.core != nil {
		h.core = core
		return
	}
	if how == EntryMiddle && h.core != nil {
		how = EntryGap
	}
	h.now, h.at = now, now.Wall.In(h.opts.Location)
	h.begin(core, how)
	h.sum = core.Summary()
	h.refreshPolicies()
	h.span.To, h.last = h.at, h.now
	if h.key != nil {
		h.key.look(h)
	}
	h.flush()
}

// Add takes one round in: events were stepped into core at now, and batch is what it took. It is called before core's next step, and keeps
// nothing of what it is given but core.
func (h *History) Add(core *scaler.Core, now scaler.Time, events []scaler.Event, batch *scaler.Batch) {
	h.now, h.at, h.events, h.batch = now, now.Wall.In(h.opts.Location), events, batch
	if core != h.core {
		h.begin(core, EntryLife)
	} else {
		h.elapse()
	}
	h.before, h.sum = h.sum, core.Summary()
	h.refreshPolicies()
	f := 0
	for i := range events {
		h.hear(&events[i])
		for ; f < len(batch.Facts) && eventOf(&batch.Facts[f], len(events)) <= i; f++ {
			h.tell(&batch.Facts[f])
		}
	}
	for ; f < len(batch.Facts); f++ {
		h.tell(&batch.Facts[f])
	}
	h.answers()
	if h.life != nil {
		h.life.commands(h)
	}
	if h.key != nil {
		h.key.look(h)
	}
	h.close()
}

// close ends the round.
func (h *History) close() {
	h.span.To, h.last = h.at, h.now
	h.span.Rounds++
	h.span.Events += len(h.events)
	h.events, h.batch = nil, nil
	h.flush()
	h.trim()
}

// flush tells the new records.
func (h *History) flush() {
	if h.opts.Record != nil {
		for _, r := range h.fresh {
			h.finish(r)
			h.opts.Record(r)
		}
	}
	h.fresh = h.fresh[:0]
}

// trim drops records that are not to be kept.
func (h *History) trim() {
	k := h.opts.Keep
	if k <= 0 || len(h.records) <= 4*k {
		return
	}
	if h.opts.Around.IsZero() {
		h.records = append(h.records[:0], h.records[len(h.records)-k:]...)
		return
	}
	before, after := h.Around()
	h.records = append(append([]*Record{}, before...), after...)
}

// Around are the latest Options.Keep records up to Options.Around, and the first as many after it.
func (h *History) Around() (before, after []*Record) {
	i := slices.IndexFunc(h.records, func(r *Record) bool { return r.Time.After(h.opts.Around) })
	if i < 0 {
		i = len(h.records)
	}
	k := max(h.opts.Keep, 0)
	before, after = h.records[max(i-k, 0):i], h.records[i:min(i+k, len(h.records))]
	for _, r := range before {
		h.finish(r)
	}
	for _, r := range after {
		h.finish(r)
	}
	return before, after
}

// begin is the first round of a life of the manager, or of what there is of it.
func (h *History) begin(core *scaler.Core, how Entry) {
	if h.core == nil {
		h.span.From = h.at
	}
	h.core, h.sum, h.cfg = core, scaler.Summary{}, core.Config()
	if h.creations == nil { // creates and removals go on in the next life
		h.creations, h.booting, h.removals = map[uint64]*creation{}, map[record.ID]*creation{}, map[record.ID]*removal{}
	}
	h.beats, h.absent, h.callers = map[record.ID]*beats{}, map[record.ID]time.Time{}, map[record.Key]*caller{}
	h.listFail = nil
	if how == EntrySegment {
		how = EntryMiddle // the segments before it are no longer there
	}
	if h.key != nil {
		h.key.lost(h)
	}
	if h.life != nil && h.life.known && how != EntryMiddle {
		h.life.add(h, "a manager began")
	}
	h.restore(core)
	if how == EntryLife || h.span.Lives == 0 {
		h.span.Lives++
	}
	switch how {
	case EntryLife:
		h.began()
	case EntryGap:
		h.sum = core.Summary()
		h.span.Gaps++
		h.note(KindGap, "", "what happened before this is missing from the journal")
	case EntryMiddle:
		h.sum = core.Summary()
	}
}

// restore takes up who holds a lease, and who waits.
func (h *History) restore(core *scaler.Core) {
	core.Instances(func(v scaler.InstanceView) bool {
		for _, l := range v.Leases {
			h.callers[l.Key] = &caller{leased: time.Unix(0, l.At).In(h.opts.Location), instance: v.ID}
		}
		return true
	})
	core.Waiters(func(w scaler.WaitView) bool {
		h.callers[w.Key] = &caller{asked: h.at.Add(-w.For), mono: h.now.Mono - w.For}
		return true
	})
}

// refreshPolicies keeps the policies of the configuration in force.
func (h *History) refreshPolicies() {
	if s := h.core.Config().Schedule; s != h.schedule {
		h.schedule, h.policies = s, s.Policies()
	}
}

// Span is what has been seen so far.
func (h *History) Span() Span { return h.span }

// Records are the decisions so far, the latest last.
func (h *History) Records() []*Record {
	list := h.records
	if k := h.opts.Keep; k > 0 && len(list) > k {
		list = list[len(list)-k:]
	}
	for _, r := range list {
		h.finish(r)
	}
	return list
}

// add keeps a record of this round.
func (h *History) add(r *Record) *Record {
	r.Time = h.at
	h.records, h.fresh = append(h.records, r), append(h.fresh, r)
	if h.life != nil {
		h.life.consider(r)
	}
	if h.key != nil {
		h.key.consider(r)
	}
	return r
}

// began records the start of a manager: what it took up from the state of the one before.
func (h *History) began() {
	now, instances, leases, creates := h.now.Wall.UnixNano(), 0, 0, 0
	h.core.Instances(func(v scaler.InstanceView) bool {
		if v.CreatedAt < now && v.State.Exists() {
			instances++
			leases += len(v.Leases)
		}
		return true
	})
	h.core.Intents(func(in record.Intent) bool {
		if in.At < now {
			creates++
		}
		return true
	})
	if instances+creates == 0 {
		h.note(KindStart, "", "a manager began, and knew of no instance")
		return
	}
	h.note(KindStart, "", fmt.Sprintf("a manager began, and took up %s, %s and %s", observe.Count(instances, "instance"), observe.Count(leases, "lease"),
		observe.Count(creates, "unfinished create")))
}

// note adds a record that needs no chain but itself.
func (h *History) note(k Kind, id record.ID, sentence string) *Record {
	return h.add(&Record{Kind: k, Instance: string(id), Sentence: sentence, Chain: []Link{{h.at, RoleDecision, sentence}}})
}

// latest returns the latest record, if there is one.
func (h *History) latest() *Record {
	if len(h.records) == 0 {
		return nil
	}
	return h.records[len(h.records)-1]
}

// clock says a moment of the present round's day by its time, any other with its date.
func (h *History) clock(t time.Time) string { return clock(t, h.at) }

func clock(t, day time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	t = t.In(day.Location())
	y, m, d := t.Date()
	if y2, m2, d2 := day.Date(); y == y2 && m == m2 && d == d2 {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}
