package workload

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/taskscaler/taskscaler/pkg/simulate"
)

func zipped(raw []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(raw)
	_ = z.Close()
	return b.Bytes()
}

func readText(t testing.TB, text string, o Options) *Loaded {
	t.Helper()
	l, err := Read("log", strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

const goodCSV = "arrival,duration\n0,10\n5,20\n"

func TestBadLogsAreMetWithWhatToDo(t *testing.T) {
	trace := binary.BigEndian.AppendUint64(nil, 1<<32+5)
	noise := make([]byte, 8192)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	noise[0] = 0
	columns := func(text string) Options { m, _ := ParseColumns(text); return Options{Columns: m} }
	for name, tc := range map[string]struct {
		raw            string
		o              Options
		reason, remedy string
		line           int
	}{
		"empty":          {"", Options{}, "the workload is empty", "at least one job", 0},
		"blank":          {" \n\n", Options{}, "the workload is empty", "at least one job", 0},
		"empty, named":   {"", Options{Format: CSV}, "the workload is empty", "at least one job", 0},
		"empty trace":    {"", Options{Format: Taskcluster}, "the workload has no jobs", "at least one job", 0},
		"names alone":    {"arrival,duration\n", Options{}, "the workload has no jobs", "at least one job", 0},
		"empty list":     {"[]", Options{}, "the workload has no jobs", "at least one job", 0},
		"empty page":     {`{"total_count":0,"jobs":[]}`, Options{}, "the workload has no jobs", "at least one job", 0},
		"prose":          {"Dear planner\n", Options{}, "not recognised", "--format-in", 1},
		"UTF-16":         {"\xff\xfea\x00", Options{}, "UTF-16", "save it as UTF-8", 0},
		"no such column": {goodCSV, columns("arrival=when"), `no column "when"`, "the file has: arrival, duration", 1},
		"no arrival": {
			"id,duration\n1,2\n",
			Options{},
			"no column says when jobs arrived",
			"the file has: id, duration",
			1,
		},
		"no duration": {"arrival,x\n1,2\n", Options{}, "no column says how long", "the file has: arrival, x", 1},
		"no names":    {"1,2\n3,4\n", Options{}, "no column says when jobs arrived", "by number, such as arrival=1", 1},
		"wrong column": {
			"arrival,duration,name\n0,10,a\n5,20,b\n",
			columns("duration=name"),
			"none of the 2 rows became a job; 2 of them: duration is not a duration",
			"check the column map (arrival=arrival, duration=name",
			2,
		},
		"all negative": {
			"arrival,duration\n0,-10\n5,-20\n",
			Options{},
			"2 of them: the run time is negative",
			"check the column map",
			2,
		},
		"short last line": {goodCSV + "7", Options{}, "the file ends in the middle of a line", "copy it again", 0},
		"open quote":      {goodCSV + "7,\"8\n9,1\n", Options{}, "the line is not CSV", "close its quotes", 4},
		"cut gzip": {
			string(zipped([]byte(goodCSV))[:20]),
			Options{},
			"ends in the middle: it was truncated",
			"copy it again",
			0,
		},
		"spoilt gzip": {
			string(zipped([]byte(goodCSV))[:len(zipped([]byte(goodCSV)))-6]) + "abcdef",
			Options{},
			"damaged",
			"copy it again",
			0,
		},
		"no gzip": {"\x1f\x8bxxxxxxxxxxxx", Options{}, "damaged", "copy it again", 0},
		"cut trace": {
			string(trace) + "\x00\x00\x00",
			Options{},
			"ends in the middle of a job: a taskcluster trace has 8 bytes a job, the last has 3",
			"truncated",
			0,
		},
		"noise": {
			string(noise),
			Options{},
			"not text, and not a taskcluster trace either: its times go back",
			"--format-in",
			0,
		},
		"cut JSON":    {`[{"arrival":1,"duration":2},{"arr`, Options{}, "truncated", "copy it again", 0},
		"cut between": {`[{"arrival":1,"duration":2},`, Options{}, "truncated", "copy it again", 0},
		"cut list":    {`[{"arrival":1,"duration":2}`, Options{}, "truncated", "copy it again", 0},
		"cut page":    {`{"jobs":[{"id":1}`, Options{}, "truncated", "copy it again", 0},
		"cut line": {
			"{\"arrival\":1,\"duration\":2}\n{\"arrival\":3,\"dur",
			Options{},
			"ends in the middle of a line",
			"copy it again",
			2,
		},
		"bad JSON":      {`[{"arrival":1 "duration":2}]`, Options{}, "the file is not JSON", "unchanged", 0},
		"stray bracket": {`[{"arrival":1,"duration":2}]]`, Options{}, "the file is not JSON", "unchanged", 0},
		"no members":    {"{\"a\":1}\n{\"b\":2}\n", Options{}, "no member says when jobs arrived", "the objects have: a, b", 0},
		"cut swf": {
			"; Version: 2.2\n1 0 1 2 3 4 5 6 7 8 1 2 3 4 5 6 7 8\n2 0 1",
			Options{},
			"ends in the middle of a line",
			"copy it again",
			3,
		},
		"range, no dates":  {goodCSV, Options{From: monday}, "no calendar", "skip, take", 0},
		"tag that is none": {goodCSV, Options{Tags: []string{"gpu"}}, "2 of them: filtered out by its tag", "", 2},
		"skipped over":     {goodCSV, Options{Skip: time.Hour}, "2 of them: left out by skip and take", "choose a span that holds jobs (--from, --to)", 2},
		"scaled away":      {goodCSV, Options{Scale: 1e-9}, "no job is left of 2 at a scale", "greater scale", 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read("my.log", strings.NewReader(tc.raw), tc.o)
			var fault *Error
			if !errors.As(err, &fault) {
				t.Fatalf("%v, want an *Error", err)
			}
			if !strings.Contains(err.Error(), tc.reason) || !strings.Contains(fault.Remedy, tc.remedy) || fault.Line != tc.line || fault.File != "my.log" {
				t.Errorf("%q (line %d); want %q, %q, line %d", err, fault.Line, tc.reason, tc.remedy, tc.line)
			}
			if !strings.HasPrefix(err.Error(), "my.log") {
				t.Errorf("%q does not begin with the file", err)
			}
		})
	}
}

func TestFilesThatCannotBeOpenedOrRead(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "none.csv"), Options{})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "or a spec such as poisson:") || strings.Count(err.Error(), "none.csv") != 1 {
		t.Errorf("a missing file: %v", err)
	}
	if _, err = Open(t.TempDir(), Options{}); err == nil {
		t.Error("a folder was read")
	}
	cause := errors.New("the disk is on fire")
	for format, text := range map[string]string{
		CSV: goodCSV, SWF: "; x\n",
		JSONLines: "{\"arrival\":1,\"duration\":2}\n", GitLab: "[", GitHub: `{"jobs":[`, Taskcluster: "\x00\x00\x00\x01\x00\x00\x00\x02",
	} {
		for _, o := range []Options{{}, {Format: format}} {
			r := io.MultiReader(strings.NewReader(text), iotest.ErrReader(cause))
			var fault *Error
			if _, err := Read("x", r, o); !errors.Is(err, cause) || !errors.As(err, &fault) {
				t.Errorf("%s, named %q: %v, want the reader's error in an *Error", format, o.Format, err)
			}
		}
	}
}

func TestSmallReadsMakeNoDifference(t *testing.T) {
	for _, file := range []string{"jobs.csv", "jobs.jsonl", "gitlab.json", "github.json", "jobs.swf", "jobs.dat"} {
		raw, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		want, err := Read(file, bytes.NewReader(raw), Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(file, iotest.OneByteReader(bytes.NewReader(raw)), Options{})
		if err != nil || describe(got) != describe(want) {
			t.Errorf("%s, byte by byte: %v", file, err)
		}
	}
}

func TestOptionsFaults(t *testing.T) {
	for want, o := range map[string]Options{
		`format "xml" is unknown: use one of csv, github`: {Format: "xml"},
		`names the field "arrivals": use arrival`:         {Columns: map[string]string{"arrivals": "x"}},
		`the pattern "["`:                    {Names: []string{"["}},
		"the scale must be more than 0":      {Scale: -1},
		"at most 1000":                       {Scale: 1001},
		"skip and take must not be negative": {Skip: -1},
		"is not after its start":             {From: monday, To: monday},
	} {
		if _, err := Read("x", strings.NewReader(goodCSV), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	for text, want := range map[string]string{
		"arrival": "write field=column", "arrival=": "write field=column", "when=x": `names the field "when"`, "tag=a,tag=b": "twice",
	} {
		if _, err := ParseColumns(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseColumns(%q): %v, want %q", text, err, want)
		}
	}
	if m, err := ParseColumns(" arrival = queued at, duration=secs "); err != nil || m["arrival"] != "queued at" || m["duration"] != "secs" {
		t.Errorf("%v, %v", m, err)
	}
	for text, want := range map[string]float64{"2x": 2, "1.5": 1.5, "50%": 0.5, " 3x ": 3} {
		if got, err := ParseScale(text); err != nil || got != want {
			t.Errorf("ParseScale(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "0", "-1x", "NaN", "2000x", "twice", "2xx"} {
		if _, err := ParseScale(text); err == nil {
			t.Errorf("ParseScale(%q) was accepted", text)
		}
	}
}

func TestColumnsAreFound(t *testing.T) {
	at := func(s string) time.Time { v, _ := time.Parse(time.RFC3339, s); return v }
	for name, tc := range map[string]struct {
		text     string
		o        Options
		origin   time.Time
		job      simulate.Job
		wait     time.Duration
		noColumn bool
	}{
		"GitLab's export": {
			text:   "created_at,started_at,queued_duration,duration\n2026-01-01T00:00:00Z,2026-01-01T08:00:10Z,10,60\n",
			origin: at("2026-01-01T08:00:00Z"),
			job:    simulate.Job{Duration: time.Minute},
			wait:   10 * time.Second,
		},
		"created, finished": {
			text:   "created,started,finished\n1757006747,1757006752,1757006896\n",
			origin: time.Unix(1757006747, 0),
			job:    simulate.Job{Duration: 144 * time.Second},
			wait:   5 * time.Second,
		},
		"milliseconds": {
			text:   "arrival,duration_ms\n1757006747123,1500\n",
			origin: time.UnixMilli(1757006747123),
			job:    simulate.Job{Duration: 1500 * time.Millisecond},
			wait:   -1,
		},
		"microseconds": {
			text:   "arrival,duration\n1757006747123456,0.25\n",
			origin: time.UnixMicro(1757006747123456),
			job:    simulate.Job{Duration: 250 * time.Millisecond},
			wait:   -1,
		},
		"nanoseconds": {
			text:   "arrival,duration\n1757006747123456789,1d\n",
			origin: time.Unix(0, 1757006747123456789),
			job:    simulate.Job{Duration: day},
			wait:   -1,
		},
		"a zone": {
			text:   "arrival,duration\n2026-01-01 09:00:00,60\n",
			o:      Options{Location: time.FixedZone("KST", 9*3600)},
			origin: at("2026-01-01T00:00:00Z"),
			job:    simulate.Job{Duration: time.Minute},
			wait:   -1,
		},
		"offsets": {
			text: "arrival_ms\twait_min\trun_time\n86400000\t2\t1:02:03\n",
			job:  simulate.Job{Duration: time.Hour + 2*time.Minute + 3*time.Second},
			wait: 2 * time.Minute,
		},
		"not that one": {
			text:   "arrival,created,duration\n5,1757006747,60\n",
			o:      Options{Columns: map[string]string{"arrival": "-"}},
			origin: time.Unix(1757006747, 0),
			job:    simulate.Job{Duration: time.Minute},
			wait:   -1,
		},
		"zero kept": {text: "arrival,duration\n5,0\n", o: Options{KeepZero: true}, wait: -1},
		"duration is absent": {
			text: "arrival,started,finished,duration\n0,1,11,\n",
			job:  simulate.Job{Duration: 10 * time.Second},
			wait: time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := readText(t, tc.text, tc.o)
			if len(l.Jobs.List) != 1 || l.Jobs.List[0] != tc.job || !l.Origin.Equal(tc.origin) {
				t.Errorf("%+v from %v; want %+v from %v", l.Jobs.List, l.Origin, tc.job, tc.origin)
			}
			if wait := append(l.Waits, -1)[0]; wait != tc.wait {
				t.Errorf("waited %v, want %v", wait, tc.wait)
			}
		})
	}
}

func TestDatesAndOffsetsAreNotMixed(t *testing.T) {
	l := readText(t, "arrival,duration\n2026-01-01T00:00:00Z,5\n17,5\n2026-01-01T00:01:00Z,5\n", Options{})
	if len(l.Jobs.List) != 2 || len(l.Dropped) != 1 || l.Dropped[0].First != 3 || !strings.Contains(l.Dropped[0].Reason, "mixes dates with times") {
		t.Errorf("%v", l.Notes())
	}
}

const filtered = "arrival,duration,wait,tags,runner,name\n" +
	"2026-03-02T00:00:00Z,1,1,\"docker,linux\",r-1,build a\n2026-03-02T01:00:00Z,2,2,windows,r-2,build b\n" +
	"2026-03-02T02:00:00Z,3,3,linux,r-2,test\n2026-03-02T03:00:00Z,4,4,,r-1,test\n"

func TestFilters(t *testing.T) {
	for name, tc := range map[string]struct {
		o      Options
		want   []time.Duration
		origin int
	}{
		"all":        {Options{}, []time.Duration{1, 2, 3, 4}, 0},
		"tag":        {Options{Tags: []string{"linux"}}, []time.Duration{1, 3}, 0},
		"tags":       {Options{Tags: []string{"win*", "docker"}}, []time.Duration{1, 2}, 0},
		"runner":     {Options{Runners: []string{"r-2"}}, []time.Duration{2, 3}, 1},
		"name":       {Options{Names: []string{"build *"}}, []time.Duration{1, 2}, 0},
		"from":       {Options{From: monday.Add(time.Hour)}, []time.Duration{2, 3, 4}, 1},
		"to":         {Options{To: monday.Add(time.Hour)}, []time.Duration{1}, 0},
		"skip":       {Options{Skip: 2 * time.Hour}, []time.Duration{3, 4}, 2},
		"take":       {Options{Take: 2 * time.Hour}, []time.Duration{1, 2}, 0},
		"skip, take": {Options{Skip: time.Minute, Take: 2 * time.Hour}, []time.Duration{2, 3}, 1},
		"both kinds": {Options{Tags: []string{"linux"}, Names: []string{"test"}}, []time.Duration{3}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			l := readText(t, filtered, tc.o)
			var got []time.Duration
			for i, j := range l.Jobs.List {
				got = append(got, j.Duration/time.Second)
				if l.Waits[i] != j.Duration { // the two columns are the same, to tell whether waits stay with their jobs
					t.Errorf("job %v has the wait %v", j, l.Waits[i])
				}
			}
			if !slices.Equal(got, tc.want) || l.Jobs.List[0].Arrival != 0 || !l.Origin.Equal(monday.Add(time.Duration(tc.origin)*time.Hour)) {
				t.Errorf("%v from %v, want %v", got, l.Origin, tc.want)
			}
			if l.Rows != 4 || l.droppedTotal() != 4-len(tc.want) {
				t.Errorf("%v", l.Notes())
			}
		})
	}
}

func TestTagsArePooledBeyondABound(t *testing.T) {
	var b strings.Builder
	b.WriteString("arrival,duration,tag\n")
	for i := range 3 * maxTags {
		b.WriteString("1,1,t" + string(rune('0'+i%2)) + "-" + strings.Repeat("x", i) + "\n")
	}
	for _, o := range []Options{{}, {Tags: []string{"t1-*"}}} {
		l := readText(t, b.String(), o)
		want := 3 * maxTags
		if o.Tags != nil {
			want /= 2
		}
		if len(l.Jobs.List) != want || len(l.Jobs.Names) > maxTags+2 || !slices.Contains(l.Jobs.Names, otherTags) {
			t.Errorf("%d jobs, %d names; want %d jobs", len(l.Jobs.List), len(l.Jobs.Names), want)
		}
	}
}

func TestTiesKeepTheOrderOfTheLog(t *testing.T) {
	l := readText(t, "arrival,duration\n9,1\n5,2\n9,3\n5,4\n1,5\n9,6\n", Options{})
	var got []time.Duration
	for _, j := range l.Jobs.List {
		got = append(got, j.Duration/time.Second)
	}
	if !slices.Equal(got, []time.Duration{5, 2, 4, 1, 3, 6}) || l.OutOfOrder != 3 {
		t.Errorf("%v, %d out of order", got, l.OutOfOrder)
	}
}

func TestScaleMeansMoreOfTheSameJobs(t *testing.T) {
	var b strings.Builder
	b.WriteString("arrival,duration\n")
	for i := range 2000 { // groups of 4 at once, five minutes apart
		b.WriteString(time.Duration(int64(i/4)*int64(5*time.Minute)).String() + "," + time.Duration(int64(i+1)*int64(time.Second)).String() + "\n")
	}
	one := readText(t, b.String(), Options{})
	for _, k := range []float64{0.5, 1, 2, 2.5, 3} {
		l := readText(t, b.String(), Options{Scale: k, Seed: 4})
		n := float64(len(l.Jobs.List))
		if math := n - 2000*k; math*math > 16*2000*0.25 || k == float64(int(k)) && n != 2000*k {
			t.Errorf("scale %v: %v jobs of 2000", k, n)
		}
		again := readText(t, b.String(), Options{Scale: k, Seed: 4})
		if !slices.Equal(l.Jobs.List, again.Jobs.List) {
			t.Errorf("scale %v: not the same with the same seed", k)
		}
		if !slices.IsSortedFunc(l.Jobs.List, func(a, b simulate.Job) int { return compare(a.Arrival, b.Arrival) }) {
			t.Errorf("scale %v: out of order", k)
		}
		for _, j := range l.Jobs.List {
			home := one.Jobs.List[j.Duration/time.Second-1].Arrival
			if moved := j.Arrival - home; moved > defaultJitter/2 || moved < -defaultJitter/2 || k <= 1 && moved != 0 {
				t.Fatalf("scale %v: a copy was moved by %s", k, moved)
			}
		}
	}
	double := readText(t, b.String(), Options{Scale: 2, Seed: 4})
	at := map[time.Duration]int{}
	for _, j := range double.Jobs.List {
		at[j.Arrival]++
	}
	for when, n := range at { // what arrived together stays together
		if n%4 != 0 {
			t.Fatalf("%d jobs at %s: the groups of four were torn apart", n, when)
		}
	}
	still := readText(t, b.String(), Options{Scale: 2, Jitter: -1})
	for i, j := range still.Jobs.List {
		if j.Arrival != one.Jobs.List[i/2].Arrival {
			t.Fatalf("without jitter job %d moved to %s", i, j.Arrival)
		}
	}
	if double.Waits != nil || readText(t, filtered, Options{Scale: 2}).Waits != nil {
		t.Error("a scaled log has recorded waits")
	}
}

func TestRepeatKeepsHoursAndWeekdays(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want time.Duration
	}{
		"an hour":            {"arrival,duration\n0,1\n3600,1\n", day},
		"a whole day":        {"arrival,duration\n0,1\n86400,1\n", 2 * day},
		"five days":          {"arrival,duration\n0,1\n4d2h,1\n", 5 * day},
		"an hour, dated":     {"arrival,duration\n1757006747,1\n1757010347,1\n", day},
		"four days, dated":   {"arrival,duration\n1757006747,1\n1757352347,1\n", week},
		"a fortnight, dated": {"arrival,duration\n2026-01-05 10:00,1\n2026-01-18 10:00,1\n", 2 * week},
	} {
		l := readText(t, tc.text, Options{})
		if got := l.period(); got != tc.want {
			t.Errorf("%s: period %s, want %s", name, got, tc.want)
			continue
		}
		n := len(l.Jobs.List)
		list := all(l.Repeat(3))
		if len(list) != 3*n {
			t.Fatalf("%s: %d jobs", name, len(list))
		}
		for i, j := range list {
			if want := l.Jobs.List[i%n].Arrival + time.Duration(i/n)*tc.want; j.Arrival != want {
				t.Errorf("%s: job %d at %s, want %s", name, i, j.Arrival, want)
			}
		}
		if again := all(l.Repeat(2)); len(again) != 2*n {
			t.Errorf("%s: a second play has %d jobs", name, len(again))
		}
	}
}

// jobsOf is what stands in the list of a page.
func jobsOf(page string) string {
	_, list, _ := strings.Cut(page, "[")
	return strings.TrimSuffix(list, "]}")
}

func TestManyPagesOfEitherShape(t *testing.T) {
	raw, err := os.ReadFile("testdata/github.json")
	if err != nil {
		t.Fatal(err)
	}
	want := readText(t, string(raw), Options{})
	first, second, _ := strings.Cut(string(raw), "]}{")
	pages := []string{first + "]}", "{" + strings.TrimSpace(second)}
	for name, text := range map[string]string{
		"slurped":        "[" + pages[0] + "," + pages[1] + "]",
		"with newlines":  strings.Join(pages, "\n"),
		"read twice":     string(raw) + string(raw),
		"backwards":      pages[1] + pages[0],
		"with nothing":   `{"total_count":0,"jobs":[]}` + string(raw),
		"jobs in a list": "[" + jobsOf(pages[0]) + "," + jobsOf(pages[1]) + "]",
	} {
		l := readText(t, text, Options{})
		if l.Format != GitHub || !slices.Equal(l.Jobs.List, want.Jobs.List) && name != "backwards" || len(l.Jobs.List) != len(want.Jobs.List) {
			t.Errorf("%s: read as %s: %v", name, l.Format, describe(l))
		}
	}
}

func BenchmarkTaskcluster(b *testing.B) {
	const n = 1 << 20
	var raw []byte
	for i := range uint32(n) {
		raw = binary.BigEndian.AppendUint32(raw, i*300)
		raw = binary.BigEndian.AppendUint32(raw, 600_000)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if l, err := Read("x", bytes.NewReader(raw), Options{}); err != nil || len(l.Jobs.List) != n {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds()/1e6, "Mjobs/s")
}

func BenchmarkCSV(b *testing.B) {
	raw := []byte("arrival,duration,tag,name\n" + strings.Repeat("1757006747,600,linux,\"build it\"\n", 100_000))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read("x", bytes.NewReader(raw), Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*1e5/b.Elapsed().Seconds()/1e6, "Mjobs/s")
}
