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

// The formats that [Options.Format] names.
const (
	CSV         = "csv"
	JSONLines   = "jsonl"
	GitLab      = "gitlab"
	GitHub      = "github"
	SWF         = "swf"
	Taskcluster = "taskcluster"
)

// Formats are the names of the formats that can be read.
func Formats() []string { return []string{CSV, GitHub, GitLab, JSONLines, SWF, Taskcluster} }

// Options say how a log is read and which of its jobs are taken. The zero Options take every job of any format.
type Options struct {
	Format string // one of Formats; "": told from the content

	// Columns names the column (csv) or member (jsonl) of a field, or gives its number from 1 (csv). The fields are arrival, created,
	// started, finished, duration, wait, tag, runner, name and status. A field that is absent is looked for under its usual names,
	// without regard to case: arrival under arrival, arrived_at, queued_at, enqueued_at, submit_time …; duration under duration,
	// run_time, runtime, elapsed …; wait under wait, wait_time, queued_duration …; tag under tag, tags, tag_list, labels ….
	// "-" is a column that does not exist.
	//
	// A job's arrival is its arrival; else started − wait, when both are there; else created. Its duration is its duration, else
	// finished − started. Its recorded wait is its wait, else started − arrival.
	//
	// A time is Unix time in s, ms, µs or ns (told by its size), RFC 3339, or "2006-01-02 15:04:05" with or without a zone (UTC or ±hh:mm). Times below
	// 10⁸ s, and durations such as "90m", are counted from the start of the log. A duration is a number of seconds, a text such as
	// "1h30m", or "1:30:00". A name that ends in _ms, _us, _ns, _min or _hours gives the unit of its numbers.
	Columns map[string]string

	Location *time.Location // of times that are written without a zone; nil: UTC
	KeepZero bool           // jobs of no run time are jobs, not cancelled ones

	// What is kept. Patterns are those of path.Match; a job is kept when one of them matches, or none is given.
	Tags    []string // patterns of one of the job's tags
	Runners []string // patterns of the runner's name
	Names   []string // patterns of the job's name

	From, To   time.Time     // arrivals in [From, To); zero: no bound. Only for logs that have a calendar
	Skip, Take time.Duration // arrivals in [Skip, Skip+Take) after the first of those; Take 0: to the end

	// Scale is how many times as many jobs there are, of the same lengths and at the same times of day: each job is played Scale times, the
	// fraction by chance. 0: 1. Arrivals are not compressed, so days stay days. Copies are moved by up to Jitter/2 either way, those
	// of jobs that arrived together (within a second of each other) by the same time: what one push started stays together.
	Scale  float64
	Jitter time.Duration // 0: 1m; negative: none
	Seed   uint64        // of the chance in scaling
}

// maxScale bounds the memory that a slip of the pen can ask for.
const maxScale = 1000

// Validate returns the first fault of the options.
func (o *Options) Validate() error {
	if o.Format != "" && !slices.Contains(Formats(), o.Format) {
		return fmt.Errorf("workload: the format %q is unknown: use one of %s", o.Format, strings.Join(Formats(), ", "))
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
