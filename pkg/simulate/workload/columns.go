package workload

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// field is the meaning of a column.
type field int

const (
	fArrival field = iota
	fCreated
	fStarted
	fFinished
	fDuration
	fWait
	fTag
	fRunner
	fName
	fStatus
	fieldCount
)

var fieldNames = [fieldCount]string{"arrival", "created", "started", "finished", "duration", "wait", "tag", "runner", "name", "status"}

// usualNames are the column names that are tried for a field, the most likely first. A suffix that gives a unit is removed before the
// comparison.
var usualNames = [fieldCount][]string{
	fArrival: {"arrival", "arrived", "arrived_at", "arrival_time", "runnable", "runnable_at", "queued", "queued_at", "enqueued", "enqueued_at",
		"pending_at", "submit", "submit_time", "submitted", "submitted_at", "requested_at", "timestamp", "time"},
	fCreated:  {"created", "created_at", "creation_time"},
	fStarted:  {"started", "started_at", "start", "start_time", "begin"},
	fFinished: {"finished", "finished_at", "completed_at", "completed", "end", "ended", "ended_at", "end_time", "finish_time", "stopped_at"},
	fDuration: {"duration", "run_time", "runtime", "run_duration", "job_duration", "execution_time", "elapsed", "length", "service_time"},
	fWait:     {"wait", "wait_time", "waited", "queued_duration", "queue_duration", "queue_time", "queueing_time", "queued_time", "wait_duration"},
	fTag:      {"tag", "tags", "tag_list", "label", "labels", "runner_tags", "queue_name", "pool"},
	fRunner:   {"runner", "runner_name", "runner_description", "worker", "machine", "agent"},
	fName:     {"name", "job_name", "job", "title"},
	fStatus:   {"status", "state", "conclusion", "result"},
}

// mapping says where the fields of a log are.
type mapping struct {
	column [fieldCount]string // name of the column; "": the log does not have the field
	index  [fieldCount]int    // csv: number of the column, from 0
	unit   [fieldCount]time.Duration
	loc    *time.Location
}

// normal returns a column's name without case, spaces and dashes.
func normal(name string) string {
	return strings.NewReplacer(" ", "_", "-", "_", ".", "_").Replace(strings.ToLower(strings.TrimSpace(name)))
}

// mapColumns finds the fields among the column names of a log.
func mapColumns(names []string, o *Options) (*mapping, error) {
	m := &mapping{loc: o.Location}
	if m.loc == nil {
		m.loc = time.UTC
	}
	plain := make([]string, len(names))
	for i, n := range names {
		plain[i] = normal(n)
	}
	for f := range fieldCount {
		m.index[f] = -1
		if want := o.Columns[fieldNames[f]]; want != "" {
			if want == "-" {
				continue
			}
			i := findColumn(names, plain, want)
			if i < 0 {
				return nil, fmt.Errorf("there is no column %q, which the column map names for %s", want, fieldNames[f])
			}
			m.set(f, i, names[i], plain[i])
			continue
		}
		for _, usual := range usualNames[f] {
			if i := slices.IndexFunc(plain, func(n string) bool { return n == usual || withoutUnit(n) == usual }); i >= 0 {
				m.set(f, i, names[i], plain[i])
				break
			}
		}
	}
	return m, m.check()
}

func (m *mapping) set(f field, i int, name, plain string) {
	m.column[f], m.index[f], m.unit[f] = name, i, unitOf(plain)
}

func withoutUnit(name string) string {
	if unitOf(name) == 0 {
		return name
	}
	return name[:strings.LastIndexByte(name, '_')]
}

// findColumn finds a column by its name, or by its number from 1.
func findColumn(names, plain []string, want string) int {
	if i := slices.Index(names, want); i >= 0 {
		return i
	}
	if i := slices.Index(plain, normal(want)); i >= 0 {
		return i
	}
	if n, err := strconv.Atoi(want); err == nil && n >= 1 && n <= len(names) {
		return n - 1
	}
	return -1
}

func (m *mapping) has(f field) bool { return m.column[f] != "" }

// check reports what is missing to compute an arrival and a duration.
func (m *mapping) check() error {
	if !m.has(fArrival) && !m.has(fCreated) && !(m.has(fStarted) && m.has(fWait)) {
		return fmt.Errorf("no column says when jobs arrived: the log has neither arrival, nor created, nor started with wait")
	}
	if !m.has(fDuration) && !(m.has(fFinished) && m.has(fStarted)) {
		return fmt.Errorf("no column says how long jobs ran: the log has neither duration, nor started with finished")
	}
	return nil
}

// String lists the column of each field.
func (m *mapping) String() string {
	var parts []string
	for f := range fieldCount {
		if m.has(f) {
			parts = append(parts, fieldNames[f]+"="+m.column[f])
		}
	}
	return strings.Join(parts, ", ")
}

// calendar says whether the times of a log are Unix times. The first job decides.
type calendar int

const (
	undecided calendar = iota
	absolute
	relative
)

// tabular turns rows of named values into jobs. The formats csv and jsonl share it.
type tabular struct {
	c    *collector
	m    *mapping
	kind calendar
	row  row
	sets map[string]string // tags as written → their name

	sample string // the value of the row that could not be read; empty: none
}

// tags returns the name of a set of tags that is written as one text.
func (t *tabular) tags(text string) string {
	if isNothing(text) {
		return ""
	}
	if set, ok := t.sets[text]; ok {
		return set
	}
	set := joinTags(strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' || r == '|' }))
	if t.sets == nil {
		t.sets = map[string]string{}
	}
	if len(t.sets) < maxTags {
		t.sets[strings.Clone(text)] = set
	}
	return set
}

// point reads a field that is a point in time. why is empty if it is valid.
func (t *tabular) point(f field, text string) (ns int64, why string) {
	if !t.m.has(f) || isNothing(text) {
		return 0, fieldNames[f] + " is missing"
	}
	ns, isCalendar, ok := parseTime(text, t.m.unit[f], t.m.loc)
	if !ok {
		t.sample = text
		return 0, fieldNames[f] + notTime
	}
	switch {
	case ns < 0:
		return 0, fieldNames[f] + " is negative"
	case ns > latestTime:
		return 0, fieldNames[f] + " is out of range"
	}
	kind := relative
	if isCalendar {
		kind = absolute
	}
	if t.kind == undecided {
		t.kind = kind
		t.c.calendar = kind == absolute
	}
	if t.kind != kind {
		return 0, fieldNames[f] + " mixes dates with times from the start of the log"
	}
	return ns, ""
}

func (t *tabular) span(f field, text string) (ns int64, why string) {
	if !t.m.has(f) || isNothing(text) {
		return 0, fieldNames[f] + " is missing"
	}
	unit := t.m.unit[f]
	if unit == 0 {
		unit = time.Second
	}
	ns, ok := parseSpan(text, unit)
	if !ok {
		return 0, fieldNames[f] + " is not a duration"
	}
	return ns, ""
}

// isNothing reports whether a value means "no value".
func isNothing(text string) bool {
	switch text {
	case "", "null", "NULL", "None", "nil", "NaN", "N/A", "n/a", "-":
		return true
	}
	return false
}

// job reads a row by field, and takes it as a job or drops it.
func (t *tabular) job(at int, values *[fieldCount]string) {
	t.sample = ""
	if why := t.read(values); why != "" {
		t.c.dropValue(at, why, t.sample)
		return
	}
	t.row.at = at
	t.c.add(&t.row)
}

func (t *tabular) read(values *[fieldCount]string) string {
	t.row = row{wait: -1, runner: t.row.runner}
	started, noStart := t.point(fStarted, values[fStarted])
	wait, noWait := t.span(fWait, values[fWait])
	arrival, why := t.arrival(values, started, noStart, wait, noWait)
	if why != "" {
		return why
	}
	t.row.arrival = arrival
	duration, why := t.span(fDuration, values[fDuration])
	if why != "" && (!t.m.has(fDuration) || isNothing(values[fDuration])) && t.m.has(fFinished) {
		var finished int64
		if finished, why = t.point(fFinished, values[fFinished]); why == "" {
			if duration, why = finished-started, noStart; why != "" {
				why = t.whyNotStarted(values, noStart)
			}
		}
	}
	if why != "" {
		return why
	}
	t.row.duration = duration
	switch {
	case noWait == "":
		t.row.wait = wait
	case noStart == "":
		t.row.wait = started - arrival
	}
	t.row.tags = t.tags(values[fTag])
	t.row.runner = append(t.row.runner[:0], values[fRunner])
	t.row.name = values[fName]
	return ""
}

// notTime ends the reason of a row whose time cannot be read.
const notTime = " is not a time"

// whyNotStarted tells a job that never started from one whose start cannot be read. why is what is wrong with its start.
func (t *tabular) whyNotStarted(values *[fieldCount]string, why string) string {
	if !t.m.has(fStarted) || isNothing(values[fStarted]) {
		return whyStart
	}
	t.sample = values[fStarted]
	return why
}

func (t *tabular) arrival(values *[fieldCount]string, started int64, noStart string, wait int64, noWait string) (int64, string) {
	if t.m.has(fArrival) {
		return t.point(fArrival, values[fArrival])
	}
	if t.m.has(fStarted) && t.m.has(fWait) {
		switch {
		case noStart != "":
			return 0, t.whyNotStarted(values, noStart)
		case noWait != "":
			return 0, noWait
		case wait < 0:
			return 0, "wait is negative"
		}
		return started - wait, ""
	}
	return t.point(fCreated, values[fCreated])
}
