package explain

import (
	"fmt"
	"time"
)

// Schema is the name of the JSON format of a Document. It changes with every incompatible change; a new field is compatible.
const Schema = "taskscaler.explain/v1"

// Document is an answer: the output of `taskscaler explain --json`. Fields that the question does not concern are absent.
type Document struct {
	Schema    string     `json:"schema"`
	Runner    string     `json:"runner,omitempty"`
	Zone      string     `json:"zone"` // of the times in sentences
	Journal   Span       `json:"journal"`
	Notes     []string   `json:"notes,omitempty"` // problems of the journal
	At        *time.Time `json:"at,omitempty"`    // the time that was asked for
	State     *State     `json:"state,omitempty"` // the group at that time, or now
	Waits     *WaitTotal `json:"waits,omitempty"` // of all callers over the whole journal
	Decisions []*Record  `json:"decisions,omitempty"`
	Before    []*Record  `json:"before,omitempty"`
	After     []*Record  `json:"after,omitempty"`
	Instance  *Life      `json:"instance,omitempty"`
	Key       *Caller    `json:"key,omitempty"`
}

// WaitTotal is the time that all callers together waited.
type WaitTotal struct {
	Seconds  float64 `json:"seconds"`
	Split    []Share `json:"split"`
	Sentence string  `json:"sentence"`
}

func waitTotal(h *History) *WaitTotal {
	w := h.Waits()
	if len(w) == 0 {
		return &WaitTotal{Split: []Share{}, Sentence: "no caller waited"}
	}
	return &WaitTotal{Seconds: w.Total().Seconds(), Split: w.Shares(), Sentence: "waited " + w.String()}
}

// Question is a question. At most one of Instance, Key and At is set; without them the question is about now.
type Question struct {
	Instance string
	Key      string
	At       time.Time
	Location *time.Location
	Last     int  // how many decisions to return. Default: 10
	Running  bool // the manager runs, so its state is the same until Now
	Now      time.Time
}

// Feed replays the journal into h, up to the time until (zero: all of it), and returns the problems of the journal.
type Feed func(until time.Time, h *History) (notes []string, err error)

// UnknownError says that the journal does not contain the instance or key that was asked for.
type UnknownError struct {
	What, Name string
	Span       Span
}

// Error names the time that the journal covers, and says where else to look.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("the journal covers %s to %s and contains no %s %q: check the name with `taskscaler status`; to keep a longer history, "+
		"raise max_size in [runners.autoscaler.journal]", e.Span.From.Format(time.DateTime), e.Span.To.Format(time.DateTime), e.What, e.Name)
}

// OutsideError says that the journal does not cover a time.
type OutsideError struct {
	At   time.Time
	Span Span
}

// Error names the time that the journal covers.
func (e *OutsideError) Error() string {
	return fmt.Sprintf("%s is outside the journal: ask for a time from %s to %s", e.At.Format(time.DateTime+" MST"),
		e.Span.From.Format(time.DateTime), e.Span.To.Format(time.DateTime+" MST"))
}

// Answer answers q. feed replays the journal.
func Answer(q Question, feed Feed) (*Document, error) {
	if q.Location == nil {
		q.Location = time.UTC
	}
	if q.Last <= 0 {
		q.Last = 10
	}
	if !q.At.IsZero() {
		return answerAt(q, feed)
	}
	h, d, err := ask(q, Options{Keep: q.Last, Instance: id(q.Instance), Key: key(q.Key)}, time.Time{}, feed)
	if err != nil {
		return nil, err
	}
	switch {
	case q.Instance != "":
		if d.Instance = h.Instance(); d.Instance == nil {
			return nil, &UnknownError{"instance", q.Instance, h.Span()}
		}
	case q.Key != "":
		if d.Key = h.Key(); d.Key == nil {
			return nil, &UnknownError{"key", q.Key, h.Span()}
		}
	default:
		d.State, d.Decisions = h.State(), h.Records()
		d.Waits = waitTotal(h)
	}
	return d, nil
}

// ask replays the journal once.
func ask(q Question, o Options, until time.Time, feed Feed) (*History, *Document, error) {
	o.Location = q.Location
	h := NewHistory(o)
	notes, err := feed(until, h)
	if err != nil {
		return nil, nil, err
	}
	if h.core == nil && until.IsZero() {
		return nil, nil, errEmpty
	}
	return h, &Document{Schema: Schema, Zone: zone(q), Journal: h.Span(), Notes: notes}, nil
}

var errEmpty = fmt.Errorf("the journal is empty: start the manager, or give the journal of a manager that has run")

// answerAt replays the journal twice: up to the time for the state, and completely for the decisions after it.
func answerAt(q Question, feed Feed) (*Document, error) {
	all, d, err := ask(q, Options{Keep: q.Last, Around: q.At}, time.Time{}, feed)
	if err != nil {
		return nil, err
	}
	span := all.Span()
	if q.At.Before(span.From) || q.At.After(span.To) && (!q.Running || q.At.After(q.Now)) {
		return nil, &OutsideError{At: q.At.In(q.Location), Span: span}
	}
	then, _, err := ask(q, Options{Keep: 1}, q.At, feed)
	if err != nil {
		return nil, err
	}
	at := q.At.In(q.Location)
	d.At, d.State = &at, then.State()
	d.Before, d.After = all.Around()
	return d, nil
}

// zone names the time zone of q, such as "Asia/Seoul (UTC+9)".
func zone(q Question) string {
	name := q.Location.String()
	abbreviation, offset := q.Now.In(q.Location).Zone()
	if name == "Local" {
		name = abbreviation
	}
	if name == "UTC" {
		return name
	}
	return fmt.Sprintf("%s (UTC%s)", name, hours(offset))
}

func hours(offset int) string {
	sign := "+"
	if offset < 0 {
		sign, offset = "-", -offset
	}
	if offset%3600 == 0 {
		return fmt.Sprintf("%s%d", sign, offset/3600)
	}
	return fmt.Sprintf("%s%d:%02d", sign, offset/3600, offset%3600/60)
}
