package explain

import (
	"fmt"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Options say what a History keeps. The zero value keeps every record.
type Options struct {
	Location *time.Location // of the times in sentences; nil: UTC
	Keep     int            // how many of the latest records to keep; 0: all
	Around   time.Time      // if set, keep that many records before and after this time; see History.Around
	Instance record.ID      // an instance to follow; see History.Instance
	Key      record.Key     // a caller's key to follow; see History.Key

	// Record receives each record at the end of its round. It does not receive later additions to the chain and the outcome. May be nil.
	Record func(*Record)
}

// Span is the part of a journal that a History has seen.
type Span struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Rounds int       `json:"rounds"`
	Events int       `json:"events"`
	Lives  int       `json:"lives"` // how often a manager started
	Gaps   int       `json:"gaps"`  // how often rounds are missing
}

// History is what happened to a group, and why. It is not safe for concurrent use.
type History struct {
	opts     Options
	core     *scaler.Core
	policies []policy.Policy
	schedule *policy.Schedule // where policies come from
	cfg      scaler.Config    // as of the last reload

	records []*Record
	fresh   []*Record // of this round
	span    Span
	waits   Split

	// The current round.
	now    scaler.Time
	at     time.Time // its wall time, in Options.Location
	events []scaler.Event
	batch  *scaler.Batch
	sum    scaler.Summary // after the round
	before scaler.Summary // before the round

	last      scaler.Time             // of the round before
	creations map[uint64]*creation    // creates with instances that have not appeared yet
	booting   map[record.ID]*creation // the creates of instances that are not ready yet
	removals  map[record.ID]*removal
	beats     map[record.ID]*beats
	absent    map[record.ID]time.Time // when a list first lacked the instance
	callers   map[record.Key]*caller
	listFail  *Record // not nil while lists fail
	listWords string  // message of the latest failed list

	life *life
	key  *keyLife
}

// NewHistory returns an empty History.
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

// Entry says how a new core follows the rounds before it.
type Entry uint8

// The values of Entry.
const (
	EntryLife    Entry = iota // a manager started
	EntryGap                  // rounds are missing, so waits and removals across the gap are not measured
	EntryMiddle               // the data begins after the manager started
	EntrySegment              // the core is a copy of the one before; nothing happened
)

// Begin is called before a round with a new core. It takes the state before this round, and how it follows the round before. Without Begin, a
// new core means that a new manager started.
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

// Add processes one round: core processed events at now and decided batch. Add must be called before core's next step. It keeps core, but
// neither events nor batch.
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

// flush passes the new records to Options.Record.
func (h *History) flush() {
	if h.opts.Record != nil {
		for _, r := range h.fresh {
			h.finish(r)
			h.opts.Record(r)
		}
	}
	h.fresh = h.fresh[:0]
}

// trim drops the records that Options does not want to keep.
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

// Around returns the last Options.Keep records up to Options.Around, and the first Options.Keep records after it.
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

// begin resets what belongs to one manager. It is called for the first round of a new core.
func (h *History) begin(core *scaler.Core, how Entry) {
	if h.core == nil {
		h.span.From = h.at
	}
	h.core, h.sum, h.cfg = core, scaler.Summary{}, core.Config()
	if h.creations == nil { // creates and removals continue after a restart
		h.creations, h.booting, h.removals = map[uint64]*creation{}, map[record.ID]*creation{}, map[record.ID]*removal{}
	}
	h.beats, h.absent, h.callers = map[record.ID]*beats{}, map[record.ID]time.Time{}, map[record.Key]*caller{}
	h.listFail = nil
	if how == EntrySegment {
		how = EntryMiddle // the earlier segments no longer exist
	}
	if h.key != nil {
		h.key.lost(h)
	}
	if h.life != nil && h.life.known && how != EntryMiddle {
		h.life.add(h, "a manager started")
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
		h.note(KindGap, "", "the events before this are missing from the journal")
	case EntryMiddle:
		h.sum = core.Summary()
	}
}

// restore reads from core which callers hold a lease and which wait.
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

// refreshPolicies reads the policies of the current configuration.
func (h *History) refreshPolicies() {
	if s := h.core.Config().Schedule; s != h.schedule {
		h.schedule, h.policies = s, s.Policies()
	}
}

// Span returns the part of the journal that was processed so far.
func (h *History) Span() Span { return h.span }

// Records returns the decisions so far, the latest last.
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

// add adds a record of this round.
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

// began records the start of a manager, and what it found in the state.
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
		h.note(KindStart, "", "a manager started; its state has no instances")
		return
	}
	h.note(KindStart, "", fmt.Sprintf("a manager started; its state has %s, %s and %s", words.Count(instances, "instance"), words.Count(leases, "lease"),
		words.Count(creates, "unfinished create")))
}

// note adds a record whose chain is only itself.
func (h *History) note(k Kind, id record.ID, sentence string) *Record {
	return h.add(&Record{Kind: k, Instance: string(id), Sentence: sentence, Chain: []Link{{h.at, RoleDecision, sentence}}})
}

// latest returns the latest record, or nil.
func (h *History) latest() *Record {
	if len(h.records) == 0 {
		return nil
	}
	return h.records[len(h.records)-1]
}

// clock formats t without its date if it is on the day of the current round.
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
