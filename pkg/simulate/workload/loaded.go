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
	Origin time.Time      // wall clock at arrival 0; zero: the log has no calendar

	// Waits are the recorded waits of the jobs in Jobs.List; -1: unknown. nil: the log records no waits, or it was scaled.
	Waits []time.Duration

	Format     string    // the format that it was read as
	Rows       int       // rows that could be jobs: those taken and those dropped
	Dropped    []Dropped // in the order of their first rows
	OutOfOrder int       // jobs that stood after a job that arrived later; they were sorted
	Columns    string    // csv, jsonl: the column of each field
}

// Dropped counts the rows that did not become jobs for one reason.
type Dropped struct {
	Reason string
	Count  int
	Value  string // the start of the value that could not be read, in the first of these rows; empty: the reason is not about a value
	First  int    // the first of these rows: its line, or its number if the format has no lines; from 1
}

// String gives the number of rows, the reason, and the first row.
func (d Dropped) String() string {
	if d.Value != "" {
		return fmt.Sprintf("%d × %s (first: %d, %q)", d.Count, d.Reason, d.First, d.Value)
	}
	return fmt.Sprintf("%d × %s (first: %d)", d.Count, d.Reason, d.First)
}

// droppedTotal is the number of all dropped rows.
func (l *Loaded) droppedTotal() int {
	n := 0
	for _, d := range l.Dropped {
		n += d.Count
	}
	return n
}

// span is the time from the first arrival to the last.
func (l *Loaded) span() time.Duration {
	if n := len(l.Jobs.List); n > 0 {
		return l.Jobs.List[n-1].Arrival
	}
	return 0
}

// period is the time from one play of the log to the next, for repeated plays. It keeps hours of the day in place, and weekdays if the log
// has them: it is the smallest number of whole days above the span of the log, or of whole weeks if the log has a calendar and is longer
// than a day. (A day is 24 hours; a change of daylight saving time shifts the hours by one.)
func (l *Loaded) period() time.Duration {
	unit := day
	if !l.Origin.IsZero() && l.span() >= day {
		unit = week
	}
	return l.span().Truncate(unit) + unit
}

// Repeat plays the log n times, one after the other. Each play starts a whole number of days after the one before, or of weeks if the log
// has weekdays, so hours of the day stay in place. The jobs are not copied, and other plays of them are not disturbed.
func (l *Loaded) Repeat(n int) *simulate.Repeat {
	return &simulate.Repeat{Jobs: l.Jobs.Again(), Times: n, Period: l.period()}
}

// Notes describes in a few lines what was read and what was left out.
func (l *Loaded) Notes() []string {
	notes := []string{fmt.Sprintf("%d jobs over %s (%s)", len(l.Jobs.List), l.span().Round(time.Second), l.Format)}
	if l.Columns != "" {
		notes = append(notes, "columns: "+l.Columns)
	}
	if n := l.droppedTotal(); n > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d rows left out:", n, l.Rows))
		forms := ""
		for _, d := range l.Dropped {
			notes = append(notes, "  "+d.String())
			if d.Value != "" {
				forms = "  a time is written as one of " + TimeForms
			}
		}
		if forms != "" {
			notes = append(notes, forms)
		}
	}
	if l.OutOfOrder > 0 {
		notes = append(notes, fmt.Sprintf("jobs that were not in the order of arrival, and were sorted: %d", l.OutOfOrder))
	}
	return notes
}
