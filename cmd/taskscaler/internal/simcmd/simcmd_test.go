package simcmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/simulate"
	"github.com/taskscaler/taskscaler/pkg/simulate/optimise"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const runner = `[[runners]]
name = "sim"
executor = "instance"
%LIMIT%
[runners.autoscaler]
plugin = "fake"
max_instances = 50
[[runners.autoscaler.policy]]
idle_time = "10m"
`

func put(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func configWith(t *testing.T, head, limit string) string {
	t.Helper()
	return put(t, "config.toml", head+"\n"+strings.Replace(runner, "%LIMIT%", limit, 1))
}

func prepared(t *testing.T, s Setup, config string) (*scene, string) {
	t.Helper()
	var notes bytes.Buffer
	all, err := s.prepare(&Streams{Err: &notes}, config)
	if err != nil {
		t.Fatal(err)
	}
	return all[0], notes.String()
}

// What the file says about the runner itself bounds the jobs; where it says nothing, nothing does.
func TestLimitsOfTheFile(t *testing.T) {
	for _, c := range []struct {
		head, limit string
		concurrent  int
		poll        time.Duration
	}{
		{"", "", 0, 0},
		{"concurrent = 0\ncheck_interval = 0", "limit = 0", 0, 0},
		{"concurrent = 7", "", 7, 0},
		{"", "limit = 5", 5, 0},
		{"concurrent = 7\ncheck_interval = 3", "limit = 9", 7, 3 * time.Second},
		{"concurrent = 9\ncheck_interval = 10", "limit = 7", 7, 10 * time.Second},
	} {
		s, _ := prepared(t, Setup{Jobs: Jobs{Workload: "burst:size=1,every=1h,duration=1s,jobs=1"}}, configWith(t, c.head, c.limit))
		if s.options.Concurrent != c.concurrent || s.options.CheckInterval != c.poll {
			t.Errorf("%q, %q: concurrent %d, poll %s", c.head, c.limit, s.options.Concurrent, s.options.CheckInterval)
		}
	}
}

func TestStartOfTheClock(t *testing.T) {
	zone, err := time.LoadLocation("Asia/Seoul")
	if err != nil {
		t.Fatal(err)
	}
	config := configWith(t, "", "")
	calendar := put(t, "a.csv", "arrival,duration\n2026-03-04T01:00:00Z,5\n2026-03-04T05:00:00Z,5\n")
	relative := put(t, "b.csv", "arrival,duration\n100,5\n200,5\n")
	for _, c := range []struct {
		workload, start string
		want            time.Time
	}{
		{relative, "", time.Date(2026, 1, 5, 0, 0, 0, 0, zone)},
		{"burst:size=1,every=1h,duration=1s,jobs=1", "", time.Date(2026, 1, 5, 0, 0, 0, 0, zone)},
		{calendar, "", time.Date(2026, 3, 4, 10, 0, 0, 0, zone)},
		{calendar, "2026-05-01", time.Date(2026, 5, 1, 0, 0, 0, 0, zone)},
		{calendar, DefaultStart, time.Date(2026, 1, 5, 0, 0, 0, 0, zone)},
		{relative, "2026-05-01T08:30", time.Date(2026, 5, 1, 8, 30, 0, 0, zone)},
		{relative, "2026-05-01T08:30:00Z", time.Date(2026, 5, 1, 17, 30, 0, 0, zone)},
	} {
		s, _ := prepared(t, Setup{Timezone: "Asia/Seoul", Start: c.start, Jobs: Jobs{Workload: c.workload}}, config)
		if !s.options.Start.Equal(c.want) || s.options.Start.Location().String() != "Asia/Seoul" {
			t.Errorf("%s from %q: starts %s, want %s", filepath.Base(c.workload), c.start, s.options.Start, c.want)
		}
	}
}

func TestChoiceOfJobs(t *testing.T) {
	log := put(t, "jobs.csv", "arrival,duration,tag,runner\n2026-03-04T00:00:00Z,5,a,x\n2026-03-04T01:00:00Z,5,b,y\n2026-03-04T02:00:00Z,5,a,x\n"+
		"2026-03-04T03:00:00Z,5,a,z\n")
	for _, c := range []struct {
		name string
		jobs Jobs
		want int
	}{
		{"all", Jobs{}, 4},
		{"tag", Jobs{Tags: []string{"a"}}, 3},
		{"runner", Jobs{Runners: []string{"[xy]"}}, 3},
		{"from", Jobs{From: "2026-03-04T01:00:00Z"}, 3},
		{"to", Jobs{To: "2026-03-04 03:00"}, 3},
		{"from and to", Jobs{From: "1h", To: "3h"}, 2},
		{"after", Jobs{From: "90m"}, 2},
		{"the first hours", Jobs{To: "90m"}, 2},
		{"scale", Jobs{Scale: "3x"}, 12},
		{"repeat", Jobs{Repeat: 5}, 20},
	} {
		c.jobs.Workload = log
		s, _ := prepared(t, Setup{Jobs: c.jobs}, configWith(t, "", ""))
		if got := len(s.jobs.list().List); got != c.want || s.jobs.count != c.want {
			t.Errorf("%s: %d jobs (%d expected), want %d", c.name, got, s.jobs.count, c.want)
		}
		if first, again := s.jobs.list(), s.jobs.list(); len(first.List) != len(again.List) {
			t.Errorf("%s: read twice, %d and %d jobs", c.name, len(first.List), len(again.List))
		}
	}
}

func TestBoundlessCloudIsBounded(t *testing.T) {
	config := put(t, "config.toml", strings.Replace(strings.Replace(runner, "%LIMIT%", "", 1), "max_instances = 50\n", "", 1))
	jobs := Jobs{Workload: "burst:size=100,every=1h,duration=1s,jobs=100"}
	if s, _ := prepared(t, Setup{Jobs: jobs}, config); s.options.Group.ProviderMax != MostInstances {
		t.Errorf("bound is %d", s.options.Group.ProviderMax)
	}
	s, _ := prepared(t, Setup{Jobs: jobs, Instances: 3}, config)
	results, _, err := s.run(t.Context(), &Streams{Err: &bytes.Buffer{}}, 1)
	if err != nil || results[0].Instances.Peak != 3 || results[0].Completed != 100 {
		t.Errorf("%v, %+v", err, results[0].Instances)
	}
}

func request(t *testing.T) Request {
	t.Helper()
	return Request{Config: configWith(t, "", ""), Setup: Setup{Seed: 1, Jobs: Jobs{Workload: "poisson:rate=1/s,duration=exp:20s,jobs=200000"}}}
}

func TestInterrupted(t *testing.T) {
	why := errors.New("terminated")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	var out, notes bytes.Buffer
	streams := Streams{Out: &out, Err: &notes}
	r := request(t)
	setup := r.Setup
	for name, err := range map[string]error{
		"simulate":  Run(ctx, r, streams),
		"compare":   Compare(ctx, CompareRequest{Setup: setup, Configs: []string{r.Config, r.Config}}, streams),
		"recommend": Recommend(ctx, RecommendRequest{Setup: setup, Config: r.Config}, streams),
	} {
		if !errors.Is(err, why) || out.Len() > 0 {
			t.Errorf("%s: error %v, report %q", name, err, out.String())
		}
	}
}

// A bar shows only on a terminal, only after a second, and leaves nothing behind.
func TestProgressBar(t *testing.T) {
	var out, notes bytes.Buffer
	r := request(t)
	r.Format = CSV
	if err := Run(t.Context(), r, Streams{Out: &out, Err: &notes}); err != nil || notes.Len() > 0 {
		t.Errorf("no terminal: %v, %q", err, notes.String())
	}
	b := newBar(&Streams{Err: &notes, Bar: &notes}, "simulating", 100)
	b.set(50)
	if notes.Len() > 0 {
		t.Errorf("at once: %q", notes.String())
	}
	b.begun = b.begun.Add(-patience)
	b.add(60)
	b.end()
	if text := notes.String(); !strings.Contains(text, "simulating") || !strings.Contains(text, "60/100") {
		t.Errorf("after a second: %q", text)
	}
	if text := notes.String(); strings.Count(text, "\n") > 0 || !strings.HasSuffix(text, wipe) {
		t.Errorf("the bar stays on the terminal: %q", text)
	}
	line := (&bar{what: "simulating", total: 200}).line(50, 10*time.Second)
	if want := "simulating  25% |███████                       | (50/200, 5 jobs/s) [10s:30s]"; line != want {
		t.Errorf("got  %q\nwant %q", line, want)
	}
	w := &counted{Workload: &simulate.Jobs{List: make([]simulate.Job, 10_000)}, bar: b}
	for _, ok := w.Next(); ok; _, ok = w.Next() {
	}
	if b.done.Load() != 60+8192 {
		t.Errorf("counted %d", b.done.Load())
	}
}

func TestReplicasGiveIntervals(t *testing.T) {
	var out, notes bytes.Buffer
	r := request(t)
	r.Jobs.Workload, r.Format, r.Replicas = "poisson:rate=1/s,duration=exp:20s,jobs=2000", JSON, 4
	r.Model = put(t, "model.toml", "[boot]\ndistribution = \"exponential\"\nmean = \"30s\"\n")
	if err := Run(t.Context(), r, Streams{Out: &out, Err: &notes}); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Intervals struct {
			Method  string
			Samples int
		}
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil || doc.Intervals.Method != "replicas" || doc.Intervals.Samples != 4 {
		t.Errorf("%v, %+v", err, doc)
	}
}

func TestOutput(t *testing.T) {
	for name, want := range map[string]string{"r.html": HTML, "r.JSON": JSON, "r.csv": CSV, "r.txt": Text, "report": Text} {
		o := Output{File: name}
		if err := o.resolve(Text, JSON, CSV, HTML); err != nil || o.Format != want {
			t.Errorf("%s: %s, %v", name, o.Format, err)
		}
	}
	r := request(t)
	r.Jobs.Workload, r.File = "poisson:rate=1/s,duration=exp:20s,jobs=100", filepath.Join(t.TempDir(), "report.html")
	var out, notes bytes.Buffer
	if err := Run(t.Context(), r, Streams{Out: &out, Err: &notes}); err != nil || out.Len() > 0 || !strings.Contains(notes.String(), r.File) {
		t.Errorf("%v, standard output %q, standard error %q", err, out.String(), notes.String())
	}
	if page, err := os.ReadFile(r.File); err != nil || !bytes.Contains(bytes.ToLower(page), []byte("</html>")) {
		t.Errorf("%v: %.100s", err, page)
	}
}

func TestJudge(t *testing.T) {
	results := []*simulate.Result{{Arrived: 10, Completed: 10}, {Arrived: 20, Completed: 20}}
	for text, ok := range map[string]bool{"jobs.arrived<15": false, "jobs.arrived<=15": true, "jobs.arrived>15": false, "jobs.arrived>=15": true,
		"jobs.arrived>14": true} {
		a, err := optimise.ParseAssertion(text)
		if err != nil {
			t.Fatal(err)
		}
		err = judge([]optimise.Assertion{a}, results)
		var failed *AssertionError
		if (err == nil) != ok || err != nil && (!errors.As(err, &failed) || failed.Failed[0].Value != 15) {
			t.Errorf("%s on a mean of 15: %v", text, err)
		}
	}
}

// An assertion about a tag that no counted job has is refused before the run: nothing is simulated or written.
func TestAssertionsAboutAbsentTags(t *testing.T) {
	config := configWith(t, "", "")
	log := put(t, "jobs.csv", "arrival,duration,tag\n2026-03-04T00:00:00Z,5,early\n2026-03-04T02:00:00Z,5,late\n")
	for _, c := range []struct {
		assert, workload string
		warmup           time.Duration
		repeat           int
		want             string
	}{
		{"wait_by_tag.late.p95<1h", log, 0, 0, ""},
		{"wait_by_tag.early.p95<1h", log, time.Hour, 2, ""},
		{"wait_by_tag.early.p95<1h", log, time.Hour, 0, `no counted job has the tag "early"; the tags are late`},
		{"wait_by_tag.x.p95<1h", log, 0, 0, `no counted job has the tag "x"`},
		{"wait_by_tag.x.p95<1h", "burst:size=1,every=1h,duration=1s,jobs=1,tag=nightly", 0, 0, `no counted job has the tag "x"; the tags are nightly`},
	} {
		var out bytes.Buffer
		setup := Setup{Timezone: "UTC", Warmup: c.warmup, Jobs: Jobs{Workload: c.workload, Repeat: c.repeat}}
		err := Run(t.Context(), Request{Setup: setup, Config: config, Assert: []string{c.assert}}, Streams{Out: &out, Err: &bytes.Buffer{}})
		var bad *UsageError
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.assert, err)
		case c.want != "" && (!errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) || out.Len() > 0):
			t.Errorf("%s: %v, after %q", c.assert, err, out.String())
		}
		other := Compare(t.Context(), CompareRequest{Setup: setup, Configs: []string{config, config}, Assert: []string{c.assert}},
			Streams{Out: &out, Err: &bytes.Buffer{}})
		if c.want != "" && (other == nil || other.Error() != err.Error()) {
			t.Errorf("compare: %v, want %v", other, err)
		}
	}
	request := RecommendRequest{Setup: Setup{Timezone: "UTC", Jobs: Jobs{Workload: log}}, Config: config, SLO: []string{"wait_by_tag.x.p95<1h"}}
	var bad *UsageError
	if err := Recommend(t.Context(), request, Streams{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}); !errors.As(err, &bad) {
		t.Errorf("recommend: %v", err)
	}
}

func TestNamesTellApart(t *testing.T) {
	got := names([]string{"a/config.toml", "b/config.toml", "c/other.toml"})
	if strings.Join(got, " ") != "a/config.toml b/config.toml other.toml" {
		t.Errorf("%v", got)
	}
}
