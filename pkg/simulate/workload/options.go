package workload

import (
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The formats, as values of [Options.Format].
const (
	CSV         = "csv"
	JSONLines   = "jsonl"
	GitLab      = "gitlab"
	GitHub      = "github"
	SWF         = "swf"
	Taskcluster = "taskcluster"
)

// formats lists the formats that can be read.
func formats() []string { return []string{CSV, GitHub, GitLab, JSONLines, SWF, Taskcluster} }

// Options say how to read a log and which of its jobs to take. The zero value takes every job of any format.
type Options struct {
	Format string // one of the constants; "": detected from the content

	// Columns maps a field to its column: the column's name (csv, jsonl), or its number from 1 (csv). The fields are arrival, created,
	// started, finished, duration, wait, tag, runner, name and status. A field that is not in the map is looked for under its usual names,
	// in any case: arrival under arrival, arrived_at, queued_at, enqueued_at, submit_time …; duration under duration, run_time, runtime,
	// elapsed …; wait under wait, wait_time, queued_duration …; tag under tag, tags, tag_list, labels …. The column "-" does not exist: the
	// field is then not read.
	//
	// A job's arrival is the field arrival; if it is missing, started − wait, when both exist; if not, created. Its duration is the field
	// duration, or finished − started. Its recorded wait is the field wait, or started − arrival.
	//
	// A time is Unix time in s, ms, µs or ns (its size tells the unit), RFC 3339, or "2006-01-02 15:04:05" with or without a zone (UTC or
	// ±hh:mm). Times below 10⁸ s, and durations such as "90m", count from the start of the log. A duration is a number of seconds, or a
	// text such as "1h30m" or "1:30:00". A name that ends in _ms, _us, _ns, _min or _hours gives the unit of its numbers.
	Columns map[string]string

	Location *time.Location // zone of times that are written without a zone; nil: UTC
	KeepZero bool           // keep jobs with a run time of zero; false: they count as cancelled

	// Filters. Patterns are those of path.Match. A job is kept if at least one pattern matches, or if there is no pattern.
	Tags    []string // patterns for the job's tags; one matching tag is enough
	Runners []string // patterns for the name of the runner
	Names   []string // patterns for the name of the job

	From, To   time.Time     // keep arrivals in [From, To); zero: no bound. Only for logs with a calendar
	Skip, Take time.Duration // then keep arrivals in [Skip, Skip+Take), counted from the first job; Take 0: to the end

	// Scale multiplies the number of jobs and keeps their durations and times of day: each job is played Scale times, a fraction by chance.
	// 0: 1. Arrivals are not compressed, so a day remains a day. Copies are moved by at most Jitter/2 in either direction. Jobs that
	// arrived within a second of each other move together, because one push usually started them.
	Scale  float64
	Jitter time.Duration // 0: 1m; negative: no jitter
	Seed   uint64        // seed of the random numbers for scaling
}

// maxScale limits the memory that a typing error can ask for.
const maxScale = 1000

// Validate returns the first fault of the options.
func (o *Options) Validate() error {
	if o.Format != "" && !slices.Contains(formats(), o.Format) {
		return fmt.Errorf("workload: the format %q is unknown: use one of %s", o.Format, strings.Join(formats(), ", "))
	}
	for _, field := range slices.Sorted(maps.Keys(o.Columns)) {
		if !slices.Contains(fieldNames[:], field) {
			return fmt.Errorf("workload: the column map names the field %q: use %s", field, strings.Join(fieldNames[:], ", "))
		}
	}
	for _, pattern := range slices.Concat(o.Tags, o.Runners, o.Names) {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("workload: the pattern %q: %w", pattern, err)
		}
	}
	switch {
	case math.IsNaN(o.Scale) || o.Scale < 0 || o.Scale > maxScale:
		return fmt.Errorf("workload: the scale must be more than 0 and at most %d, is %v", maxScale, o.Scale)
	case o.Skip < 0 || o.Take < 0:
		return fmt.Errorf("workload: skip and take must not be negative, are %s and %s", o.Skip, o.Take)
	case !o.From.IsZero() && !o.To.IsZero() && !o.To.After(o.From):
		return fmt.Errorf("workload: the time range ends at %s, which is not after its start at %s", o.To, o.From)
	}
	return nil
}

// ParseColumns reads a column map such as "arrival=queued_at,duration=secs,tag=5".
func ParseColumns(text string) (map[string]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	columns := map[string]string{}
	for _, item := range strings.Split(text, ",") {
		field, column, ok := strings.Cut(item, "=")
		field, column = strings.TrimSpace(field), strings.TrimSpace(column)
		switch {
		case !ok || column == "":
			return nil, fmt.Errorf("workload: the column map says %q: write field=column, such as arrival=queued_at", item)
		case !slices.Contains(fieldNames[:], field):
			return nil, fmt.Errorf("workload: the column map names the field %q: use %s", field, strings.Join(fieldNames[:], ", "))
		case columns[field] != "":
			return nil, fmt.Errorf("workload: the column map names the field %q twice", field)
		}
		columns[field] = column
	}
	return columns, nil
}

// ParseScale reads a scale such as "2x", "1.5" or "50%".
func ParseScale(text string) (float64, error) {
	number, divisor := strings.TrimSpace(text), 1.0
	if rest, ok := strings.CutSuffix(number, "%"); ok {
		number, divisor = rest, 100
	} else {
		number = strings.TrimSuffix(number, "x")
	}
	v, err := strconv.ParseFloat(number, 64)
	if v /= divisor; err != nil || !(v > 0 && v <= maxScale) {
		return 0, fmt.Errorf("workload: %q is not a scale: write a number above 0 and up to %d, such as 2x, 0.5 or 150%%", text, maxScale)
	}
	return v, nil
}
