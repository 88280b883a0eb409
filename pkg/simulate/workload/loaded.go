package workload

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/simulate"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// Loaded is a log that was read.
type Loaded struct {
	Jobs   *simulate.Jobs // in the order of arrival, the first at 0; jobs that arrive together keep the order of the log
	Origin time.Time      // the wall clock at arrival 0; zero when the log has no calendar

	// Waits are how long each job of Jobs.List waited in reality, -1 where that is unknown; nil when the log knows of none, or was scaled.
	Waits []time.Duration

	Format     string    // the format that it was read as
	Rows       int       // rows that could have been jobs: those taken and those dropped
	Dropped    []Dropped // in the order of their first row
	OutOfOrder int       // jobs that stood behind one that arrived later; they were sorted
	Columns    string    // csv, jsonl: which column gave which field
}

// Dropped is a reason for which rows of a log did not become jobs.
type Dropped struct {
	Reason string
	Count  int
	First  int // the first of them: its line, or its number where a format has no lines; from 1
}

// String says how many, why and where first.
func (d Dropped) String() string {
	return fmt.Sprintf("%d × %s (first: %d)", d.Count, d.Reason, d.First)
}

// DroppedTotal is how many rows were dropped in all.
func (l *Loaded) DroppedTotal() int {
	n := 0
	for _, d := range l.Dropped {
		n += d.Count
	}
	return n
}

// Span is the time from the first arrival to the last.
func (l *Loaded) Span() time.Duration {
	if n := len(l.Jobs.List); n > 0 {
		return l.Jobs.List[n-1].Arrival
	}
	return 0
}

// Period is how much later the log is played again, so that hours of the day stay where they are, and weekdays where the log knows them: the
// least number of whole days above its span, or of whole weeks when it has a calendar and is longer than a day. (A day is 24 hours: over a
// change of daylight saving time the hours move by one.)
func (l *Loaded) Period() time.Duration {
	unit := day
	if !l.Origin.IsZero() && l.Span() >= day {
		unit = week
	}
	return l.Span().Truncate(unit) + unit
}

// Repeat plays the log n times, each time a [Loaded.Period] later. The jobs are not copied, and other plays of them are not disturbed.
func (l *Loaded) Repeat(n int) *simulate.Repeat {
	return &simulate.Repeat{Jobs: l.Jobs.Again(), Times: n, Period: l.Period()}
}

// Notes says in a few lines what was read and what was left out.
func (l *Loaded) Notes() []string {
	notes := []string{fmt.Sprintf("%d jobs over %s (%s)", len(l.Jobs.List), l.Span().Round(time.Second), l.Format)}
	if l.Columns != "" {
		notes = append(notes, "columns: "+l.Columns)
	}
	if n := l.DroppedTotal(); n > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d rows left out:", n, l.Rows))
		for _, d := range l.Dropped {
			notes = append(notes, "  "+d.String())
		}
	}
	if l.OutOfOrder > 0 {
		notes = append(notes, fmt.Sprintf("jobs that stood behind a later one, and were sorted: %d", l.OutOfOrder))
	}
	return notes
}
