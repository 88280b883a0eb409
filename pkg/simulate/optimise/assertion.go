package optimise

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/nearest"
	"github.com/taskscaler/taskscaler/pkg/simulate"
	"github.com/taskscaler/taskscaler/pkg/simulate/report"
)

// Assertion is a promise about one figure of a result, such as p95_wait<=60s.
type Assertion struct {
	Figure   string  // the figure as it was written: an alias or a path
	Path     string  // path in the JSON form of a report, such as wait_seconds.p95
	Operator string  // <, <=, > or >=
	Limit    float64 // in the unit of the figure: seconds, hours, instances, currency, or a share
	text     string
}

// String is the assertion as it was written, without spaces.
func (a Assertion) String() string {
	if a.text != "" {
		return a.text
	}
	return a.Figure + a.Operator + strconv.FormatFloat(a.Limit, 'g', -1, 64)
}

// AssertionError says why an assertion cannot be read.
type AssertionError struct {
	Text   string
	Reason string // what is wrong, and what to write instead
}

// Error quotes the assertion and says what is wrong with it.
func (e *AssertionError) Error() string { return fmt.Sprintf("assertion %q: %s", e.Text, e.Reason) }

// aliases are short names of figures. They include those of package report.
func aliases() map[string]string {
	return map[string]string{
		"mean_wait": "wait_seconds.mean", "p50_wait": "wait_seconds.p50", "p90_wait": "wait_seconds.p90", "p95_wait": "wait_seconds.p95",
		"p99_wait": "wait_seconds.p99", "max_wait": "wait_seconds.max", "cost": "cost.total", "instance_hours": "instance_hours.total",
	}
}

const usual = "mean_wait, p50_wait, p90_wait, p95_wait, p99_wait, max_wait, wait_fraction, cost, instance_hours, utilization"

// ParseAssertion reads FIGURE OPERATOR LIMIT, such as p95_wait<60s, cost <= 1200, wait_fraction<5% or instance_hours.idle<80h. A figure is
// one of mean_wait, p50_wait, p90_wait, p95_wait, p99_wait, max_wait, wait_fraction, cost, instance_hours, utilization, or the path of any
// number in the JSON form of a report. An operator is <, <=, > or >=. A limit is a number in the figure's unit, a duration for waits and
// instance-hours, or a percentage for shares.
//
// Errors: *AssertionError.
func ParseAssertion(text string) (Assertion, error) {
	fail := func(format string, args ...any) (Assertion, error) {
		return Assertion{}, &AssertionError{Text: text, Reason: fmt.Sprintf(format, args...)}
	}
	at := strings.IndexAny(text, "<>=!≤≥")
	if at < 0 {
		return fail("has no operator: write a figure, one of < <= > >=, and a limit, such as p95_wait<=60s")
	}
	figure, rest := strings.TrimSpace(text[:at]), text[at:]
	operator := rest[:len(rest)-len(strings.TrimLeft(rest, "<>=!≤≥"))]
	limit := strings.TrimSpace(rest[len(operator):])
	switch {
	case operator != "<" && operator != "<=" && operator != ">" && operator != ">=":
		return fail("the operator %q is not one of < <= > >=", operator)
	case figure == "":
		return fail("has no figure before %s: write one of %s, or a path of the JSON report", operator, usual)
	case limit == "":
		return fail("has no limit after %s: write a number or a duration, such as 60s", operator)
	}
	a := Assertion{Figure: figure, Path: figure, Operator: operator, text: figure + operator + limit}
	if path, ok := aliases()[figure]; ok {
		a.Path = path
	}
	if err := known(a.Path); err != nil {
		return fail("%s", err)
	}
	var reason string
	if a.Limit, reason = parseLimit(a.Path, limit); reason != "" {
		return fail("%s", reason)
	}
	return a, nil
}

// ParseAssertions reads several assertions and reports all faults.
func ParseAssertions(texts []string) ([]Assertion, error) {
	var all []Assertion
	var faults []error
	for _, text := range texts {
		a, err := ParseAssertion(text)
		all, faults = append(all, a), append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return all, nil
}

// known rejects a path that no report has. Which tags there are is known only with a workload: see CheckTags.
func known(path string) error {
	const longest = 10 * 365 * 24 * 3600 // seconds; a wait is shorter
	full := &simulate.Result{Waits: simulate.Waits{Max: longest}}
	if tag, ok := tagOf(path); ok {
		full.ByTag = []simulate.Slice{{Name: tag}}
	}
	for hour := range 24 {
		full.ByHour = append(full.ByHour, simulate.Slice{Name: fmt.Sprintf("%02d:00", hour)})
	}
	_, err := report.ValueOf(full, path)
	return err
}

// tagOf returns the tag that a path is about. It is "" for wait_by_tag.p95, the jobs without a tag.
func tagOf(path string) (tag string, ok bool) {
	rest, ok := strings.CutPrefix(path, "wait_by_tag.")
	return rest[:max(strings.LastIndexByte(rest, '.'), 0)], ok
}

// CheckTags rejects assertions about tags that no job has. tags are the tags of the jobs of a workload.
//
// Errors: *AssertionError for each of them, joined.
func CheckTags(asserted []Assertion, tags []string) error {
	var faults []error
	for _, a := range asserted {
		tag, ok := tagOf(a.Path)
		switch {
		case !ok || slices.Contains(tags, tag):
		case tag == "":
			faults = append(faults, &AssertionError{Text: a.String(), Reason: "is about jobs without a tag, and every counted job has one: write wait_by_tag.TAG.p95, for example"})
		default:
			faults = append(faults, &AssertionError{Text: a.String(), Reason: fmt.Sprintf("no counted job has the tag %q; %s", tag, tagRemedy(tag, tags))})
		}
	}
	return errors.Join(faults...)
}

func tagRemedy(tag string, tags []string) string {
	var named []string
	for _, t := range tags {
		if t != "" {
			named = append(named, t)
		}
	}
	if len(named) == 0 {
		return "the jobs have no tags, so use the figures of all jobs, such as p95_wait"
	}
	if near := nearest.Guess(tag, named); near != "" {
		return nearest.DidYouMean(near)
	}
	const few = 12
	if len(named) > few {
		return "the report lists the tags under wait_by_tag"
	}
	return "the tags are " + strings.Join(named, ", ")
}

// unit is what a figure is measured in.
type unit uint8

const (
	plain unit = iota
	seconds
	hours
	share
)

func unitOf(path string) unit {
	root, _, _ := strings.Cut(path, ".")
	switch {
	case path == "utilization", path == "wait_fraction", path == "cost.idle_share", path == "wait_quantile_error":
		return share
	case strings.HasSuffix(path, ".jobs"):
		return plain
	case root == "wait_seconds", root == "wait_by_tag", root == "wait_by_hour", root == "wait_by_cause", root == "duration_seconds":
		return seconds
	case root == "instance_hours", root == "slot_hours", root == "bound":
		return hours
	}
	return plain
}

// parseLimit reads the limit of a figure. reason says why it cannot.
func parseLimit(path, text string) (limit float64, reason string) {
	u := unitOf(path)
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return 0, "the limit is not a finite number: " + text
		}
		return v, ""
	}
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		v, err := strconv.ParseFloat(strings.TrimSpace(percent), 64)
		if u != share || err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return 0, fmt.Sprintf("the limit %q is a percentage, but %s is %s", text, path, u.name())
		}
		return v / 100, ""
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Sprintf("the limit %q cannot be read: %s is %s", text, path, u.name())
	case u == seconds:
		return d.Seconds(), ""
	case u == hours:
		return d.Hours(), ""
	}
	return 0, fmt.Sprintf("the limit %q is a duration, but %s is %s", text, path, u.name())
}

func (u unit) name() string {
	switch u {
	case seconds:
		return "a time: write a duration such as 90s or 1m30s, or a number of seconds"
	case hours:
		return "a number of hours: write a number or a duration such as 1200h"
	case share:
		return "a share: write a number from 0 to 1, or a percentage such as 5%"
	}
	return "a plain number: write it without a unit"
}

// Verdict is the result of an assertion on one run.
type Verdict struct {
	Assertion Assertion
	Value     float64 // +Inf: no job was served, so the waits never ended
	OK        bool
}

// String gives the figure and its limit.
func (v Verdict) String() string {
	word := "holds"
	if !v.OK {
		word = "fails"
	}
	return fmt.Sprintf("%s %s: %s is %.6g", v.Assertion, word, v.Assertion.Figure, v.Value)
}

// excess is how far a figure misses its limit, or the margin that it must keep from the limit, relative to the limit. 0: it keeps both.
func (v Verdict) excess(margin float64) float64 {
	limit, sign := v.Assertion.Limit, 1.0
	if v.Assertion.Operator[0] == '>' {
		sign = -1
	}
	over := sign*(v.Value-limit) + margin
	if over < 0 || over == 0 && (margin > 0 || v.OK) {
		return 0
	}
	return max(over/max(math.Abs(limit), 1e-9), 1e-12)
}

// Evaluate checks an assertion on a result. If jobs arrived and none was served, waits are infinite.
//
// Errors: *report.UnknownFigureError, for a tag or an hour that is not in the result.
func Evaluate(a Assertion, r *simulate.Result) (Verdict, error) {
	value, err := valueOf(r, a.Path)
	if err != nil {
		return Verdict{}, err
	}
	return a.judge(value), nil
}

func (a Assertion) judge(value float64) Verdict {
	v := Verdict{Assertion: a, Value: value}
	switch a.Operator {
	case "<":
		v.OK = value < a.Limit
	case "<=":
		v.OK = value <= a.Limit
	case ">":
		v.OK = value > a.Limit
	case ">=":
		v.OK = value >= a.Limit
	}
	return v
}

// valueOf returns a figure by its path. It reads the common ones directly, because a search needs them often.
func valueOf(r *simulate.Result, path string) (float64, error) {
	w := &r.Waits
	if (strings.HasPrefix(path, "wait_seconds.") || path == "wait_fraction") && w.Count == 0 && r.Arrived > 0 {
		return math.Inf(1), nil
	}
	switch path {
	case "wait_seconds.mean":
		return w.Mean, nil
	case "wait_seconds.p50":
		return w.Quantile(0.5), nil
	case "wait_seconds.p90":
		return w.Quantile(0.9), nil
	case "wait_seconds.p95":
		return w.Quantile(0.95), nil
	case "wait_seconds.p99":
		return w.Quantile(0.99), nil
	case "wait_seconds.max":
		return w.Max, nil
	case "wait_fraction":
		return w.Fraction, nil
	case "instance_hours.total":
		return r.Hours.Total, nil
	case "utilization":
		return r.Utilization, nil
	case "cost.total":
		return r.Cost.Total, nil
	}
	return report.ValueOf(r, path)
}

// total reports whether a figure grows with the length of a trace. The figure of a part must then be scaled up before it is compared with a
// limit.
func total(path string) bool {
	root, _, _ := strings.Cut(path, ".")
	switch path {
	case "cost.total", "instances.created", "instances.deleted", "instances.unproductive", "instances.reclaimed", "instances.died", "denials":
		return true
	}
	return root == "instance_hours" || root == "slot_hours" || root == "bound" || root == "wait_by_cause" || root == "jobs"
}
