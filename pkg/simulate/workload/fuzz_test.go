package workload

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fuzzFormat reads anything as a format ("": whatever it looks like): it ends in jobs that hang together, or in an *Error that says why.
func fuzzFormat(f *testing.F, format string, seeds ...string) {
	for _, s := range seeds {
		raw, err := os.ReadFile(filepath.Join("testdata", s))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		f.Add(raw[:len(raw)*2/3])
		if format == "" {
			f.Add(zipped(raw))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, o := range []Options{{Format: format}, {Format: format, KeepZero: true, Scale: 1.5, Skip: time.Second, Tags: []string{"*"}}} {
			l, err := Read("fuzz", bytes.NewReader(raw), o)
			if err != nil {
				var fault *Error
				if !errors.As(err, &fault) || fault.Reason == "" {
					t.Fatalf("%v is no *Error with a reason", err)
				}
				continue
			}
			hangsTogether(t, l, o.Scale == 0)
		}
	})
}

func hangsTogether(t *testing.T, l *Loaded, plain bool) {
	t.Helper()
	list := l.Jobs.List
	if len(list) == 0 || plain && (list[0].Arrival != 0 || l.Rows != len(list)+l.droppedTotal()) {
		t.Fatalf("%v", l.Notes())
	}
	if l.Waits != nil && len(l.Waits) != len(list) {
		t.Fatalf("%d waits of %d jobs", len(l.Waits), len(list))
	}
	last := time.Duration(0)
	for i, j := range list {
		if j.Arrival < last || j.Duration < 0 || j.Duration > longest || j.Tag < 0 || j.Tag >= len(l.Jobs.Names) || l.Waits != nil && l.Waits[i] < -1 {
			t.Fatalf("job %d: %+v after %s", i, j, last)
		}
		last = j.Arrival
	}
	if l.period() <= l.span() {
		t.Fatalf("period %s, span %s", l.period(), l.span())
	}
}

func FuzzAnything(f *testing.F) {
	fuzzFormat(f, "", "jobs.csv", "plain.csv", "jobs.jsonl", "gitlab.json", "github.json", "jobs.swf", "jobs.dat")
}
func FuzzCSV(f *testing.F)         { fuzzFormat(f, CSV, "jobs.csv", "plain.csv") }
func FuzzJSONLines(f *testing.F)   { fuzzFormat(f, JSONLines, "jobs.jsonl") }
func FuzzGitLab(f *testing.F)      { fuzzFormat(f, GitLab, "gitlab.json") }
func FuzzGitHub(f *testing.F)      { fuzzFormat(f, GitHub, "github.json") }
func FuzzSWF(f *testing.F)         { fuzzFormat(f, SWF, "jobs.swf") }
func FuzzTaskcluster(f *testing.F) { fuzzFormat(f, Taskcluster, "jobs.dat") }

func FuzzColumns(f *testing.F) {
	f.Add("arrival=queued at, duration=2", "2x")
	f.Fuzz(func(t *testing.T, columns, scale string) {
		m, err := ParseColumns(columns)
		if err == nil {
			if _, err = Read("x", strings.NewReader(goodCSV), Options{Columns: m}); err != nil {
				var fault *Error
				if !errors.As(err, &fault) {
					t.Fatal(err)
				}
			}
		}
		if k, err := ParseScale(scale); err == nil {
			if err := (&Options{Scale: k}).Validate(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzValues(f *testing.F) {
	for _, s := range []string{"1h30m", "-5", "1.5e3", "2d", "1:02:03", "2026-01-01T00:00:00Z", "9223372036854775807", "-", "", ":", "0x1p-2", "1_000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if ns, calendar, ok := parseTime(text, 0, time.UTC); ok && calendar && ns < 0 {
			t.Fatalf("%q is the time %d", text, ns)
		}
		ns, ok := parseSpan(text, time.Second)
		if d, err := time.ParseDuration(text); ok && err == nil && strings.Trim(text, "-0123456789.") != "" {
			if diff := ns - int64(d); diff > 1000 || diff < -1000 {
				if d < 100*24*time.Hour && d > -100*24*time.Hour { // beyond, theirs is exact and ours a float64
					t.Fatalf("%q is %d, time.ParseDuration says %d", text, ns, d)
				}
			}
		}
	})
}
