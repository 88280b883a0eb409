package plugincheck

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/provider/conformance"
)

// Schema names the form of the JSON report. Fields may be added to it; another change has another name.
const Schema = "taskscaler.plugin-test/1"

// Report is a report with what it is about.
type Report struct {
	Plugin string // its path
	Live   bool
	conformance.Report
}

type jsonReport struct {
	Schema       string        `json:"schema"`
	Plugin       string        `json:"plugin"`
	Version      string        `json:"version,omitempty"`
	Group        string        `json:"group,omitempty"`
	MaxSize      int           `json:"max_size"`
	Capabilities []string      `json:"capabilities"`
	Live         bool          `json:"live"`
	Passed       int           `json:"passed"`
	Failed       int           `json:"failed"`
	Skipped      int           `json:"skipped"`
	NotReached   int           `json:"not_reached"`
	TookMS       int64         `json:"took_ms"`
	Checks       []jsonCheck   `json:"checks"`
	Latency      []jsonLatency `json:"latency"`
	Left         []string      `json:"left"`
}

type jsonCheck struct {
	ID       string        `json:"id"`
	Title    string        `json:"title"`
	Why      string        `json:"why"`
	Status   string        `json:"status"`
	Reason   string        `json:"reason,omitempty"`
	Findings []jsonFinding `json:"findings,omitempty"`
	TookMS   int64         `json:"took_ms"`
}

type jsonFinding struct {
	Saw    string `json:"saw"`
	Change string `json:"change"`
}

type jsonLatency struct {
	Verb     string `json:"verb"`
	Calls    int    `json:"calls"`
	MedianMS int64  `json:"median_ms"`
	MaxMS    int64  `json:"max_ms"`
}

// JSON writes the report in the form of Schema.
func (r Report) JSON(w io.Writer) error {
	out := jsonReport{
		Schema: Schema, Plugin: r.Plugin, Version: r.Info.Version, Group: r.Info.ID, MaxSize: r.Info.MaxSize, Live: r.Live, Capabilities: []string{},
		Passed: r.Count(conformance.Pass), Failed: r.Count(conformance.Fail), Skipped: r.Count(conformance.Skip), NotReached: r.Count(conformance.NotReached),
		TookMS: r.Took.Milliseconds(), Checks: []jsonCheck{}, Latency: []jsonLatency{}, Left: append([]string{}, r.Left...),
	}
	for _, c := range r.Capabilities {
		out.Capabilities = append(out.Capabilities, string(c))
	}
	for _, res := range r.Results {
		c := jsonCheck{ID: res.ID, Title: res.Title, Why: res.Why, Status: string(res.Status), Reason: res.Reason, TookMS: res.Took.Milliseconds()}
		for _, f := range res.Findings {
			c.Findings = append(c.Findings, jsonFinding{f.Saw, f.Change})
		}
		out.Checks = append(out.Checks, c)
	}
	for _, l := range r.Latency {
		out.Latency = append(out.Latency, jsonLatency{l.Verb, l.Calls, l.Median.Milliseconds(), l.Max.Milliseconds()})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitMessage `xml:"failure,omitempty"`
	Skipped *junitMessage `xml:"skipped,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes the report as JUnit XML: a test case for each check. A check that was not reached is skipped, with its reason.
func (r Report) JUnit(w io.Writer) error {
	suite := junitSuite{
		Name: r.Plugin, Tests: len(r.Results), Failures: r.Count(conformance.Fail), Skipped: r.Count(conformance.Skip) + r.Count(conformance.NotReached), Time: seconds(r.Took),
	}
	for _, res := range r.Results {
		c := junitCase{Name: res.ID, Class: "taskscaler.plugin", Time: seconds(res.Took)}
		switch res.Status {
		case conformance.Fail:
			var text strings.Builder
			for _, f := range res.Findings {
				fmt.Fprintf(&text, "saw: %s\nchange: %s\n", safetext.Line(f.Saw, safetext.MaxReport), f.Change)
			}
			c.Failure = &junitMessage{res.Title, text.String() + "why it matters: " + res.Why}
		case conformance.Skip, conformance.NotReached:
			c.Skipped = &junitMessage{Message: string(res.Status) + ": " + safetext.Line(res.Reason, safetext.MaxReport)}
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// Line is one result as a line, and its findings below it.
func Line(r conformance.Result) string {
	var b strings.Builder
	mark := map[conformance.Status]string{conformance.Pass: "ok", conformance.Fail: "FAIL", conformance.Skip: "skip", conformance.NotReached: "-"}[r.Status]
	fmt.Fprintf(&b, "%-5s %-22s %s", mark, r.ID, r.Title)
	if r.Reason != "" {
		fmt.Fprintf(&b, "\n%30s%s: %s", "", r.Status, safetext.Line(r.Reason, safetext.MaxReport))
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n      saw     %s\n      change  %s", safetext.Line(f.Saw, safetext.MaxReport), f.Change)
	}
	if r.Status == conformance.Fail {
		fmt.Fprintf(&b, "\n      why     %s", r.Why)
	}
	return b.String()
}

// Summary is what stands below the lines: what the plugin can do, how fast its calls were, and the counts.
func (r Report) Summary() string {
	var b strings.Builder
	if r.Info.ID != "" {
		fmt.Fprintf(&b, "\ngroup         %s", safetext.Line(r.Info.ID, safetext.MaxName))
		if r.Info.MaxSize > 0 {
			fmt.Fprintf(&b, ", at most %s", words.Count(r.Info.MaxSize, "instance"))
		}
		fmt.Fprintf(&b, "\ncapabilities  %s\n", r.optional())
	}
	if len(r.Latency) > 0 {
		fmt.Fprintf(&b, "\n%-14s%7s%12s%12s\n", "", "calls", "median", "longest")
		for _, l := range r.Latency {
			fmt.Fprintf(&b, "%-14s%7d%12s%12s\n", l.Verb, l.Calls, short(l.Median), short(l.Max))
		}
	}
	if len(r.Left) > 0 {
		fmt.Fprintf(&b, "\nmachines of this run that may be left: %s\n", safetext.Line(strings.Join(r.Left, ", "), safetext.MaxReport))
	}
	if n := r.count(NotLive); n > 0 && !r.Live {
		fmt.Fprintf(&b, "\n%s, which make or remove machines, were not made: they need --live\n", words.Count(n, "check"))
	}
	if n := r.count(Explained); n > 0 {
		fmt.Fprintf(&b, "\n%s could not be made, because of what failed above; --verbose says which\n", words.Count(n, "check"))
	}
	fmt.Fprintf(&b, "\n%s: %d passed, %d failed, %d skipped, %d not reached, in %s\n", words.Count(len(r.Results), "check"), r.Count(conformance.Pass),
		r.Count(conformance.Fail), r.Count(conformance.Skip), r.Count(conformance.NotReached), short(r.Took))
	return b.String()
}

// NotLive reports whether a check was skipped because the run is not live.
func NotLive(r conformance.Result) bool {
	return r.Status == conformance.Skip && r.Reason == conformance.ReasonNotLive
}

// Explained reports whether a check was not reached because of another one that failed. Its line says nothing new.
func Explained(r conformance.Result) bool {
	return r.Status == conformance.NotReached && (strings.HasSuffix(r.Reason, " failed") || strings.HasPrefix(r.Reason, "Init did not"))
}

func (r Report) count(f func(conformance.Result) bool) (n int) {
	for _, res := range r.Results {
		if f(res) {
			n++
		}
	}
	return n
}

// optional lists what the group can do, and what of the optional things it lacks.
func (r Report) optional() string {
	can := map[string]bool{}
	for _, c := range r.Capabilities {
		can[string(c)] = true
	}
	for _, res := range r.Results {
		if res.ID == "host-keys" && res.Status == conformance.Pass {
			can["host_keys"] = true
		}
	}
	var all []string
	for _, name := range []string{"heartbeat", "suspend_resume", "host_keys"} {
		if can[name] {
			all = append(all, name)
		} else {
			all = append(all, "no "+name)
		}
	}
	return strings.Join(all, ", ")
}

func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
