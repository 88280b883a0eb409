package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with: go test ./pkg/simulate/report -update)", err)
	}
	if bytes.Equal(got, want) {
		return
	}
	a, b := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("%s, line %d:\n got %s\nwant %s", path, i+1, a[i], b[i])
		}
	}
	t.Fatalf("%s: %d lines, want %d", path, len(a), len(b))
}

// small is the run of the golden files: half a day, more jobs than instances.
func small(t testing.TB) *Report {
	r := run(t, 1, 1200, 0.8, 16, 64)
	r.Result.Censored = 2 // as if two had not ended: the remark is part of the golden text
	return r
}

func TestGolden(t *testing.T) {
	r := small(t)
	forms := []struct {
		name  string
		write func(*bytes.Buffer) error
	}{
		{"report.json", func(b *bytes.Buffer) error { return r.WriteJSON(b) }},
		{"report.csv", func(b *bytes.Buffer) error { return r.WriteCSV(b) }},
		{"report.txt", func(b *bytes.Buffer) error { return r.WriteText(b, TextOptions{}) }},
		{"comparison.txt", func(b *bytes.Buffer) error { return compared(t).WriteText(b, TextOptions{Width: 100}) }},
	}
	for _, f := range forms {
		var first, second bytes.Buffer
		if err := errors.Join(f.write(&first), f.write(&second)); err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("%s: twice the same report is not the same bytes", f.name)
		}
		golden(t, f.name, first.Bytes())
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	write := func() (string, string, string) {
		r := small(t)
		r.Timeline = true
		var j, x, h bytes.Buffer
		if err := errors.Join(r.WriteJSON(&j), r.WriteText(&x, TextOptions{Color: true}), r.WriteHTML(&h)); err != nil {
			t.Fatal(err)
		}
		return j.String(), x.String(), h.String()
	}
	j1, x1, h1 := write()
	j2, x2, h2 := write()
	if j1 != j2 || x1 != x2 || h1 != h2 {
		t.Error("two runs of one seed give different bytes")
	}
}

// schemaOf compiles a schema, with every object closed, so that a member that it does not describe is a fault here.
func schemaOf(t *testing.T, text string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("open.json", doc); err != nil {
		t.Fatal(err)
	}
	if _, err := compiler.Compile("open.json"); err != nil {
		t.Fatalf("the schema itself: %v", err)
	}
	closed, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	closeObjects(closed)
	closed.(map[string]any)["$id"] = "urn:closed"
	if err := compiler.AddResource("closed.json", closed); err != nil {
		t.Fatal(err)
	}
	s, err := compiler.Compile("closed.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["required"].([]any); ok {
			v["additionalProperties"] = false
		}
		for _, child := range v {
			closeObjects(child)
		}
	case []any:
		for _, child := range v {
			closeObjects(child)
		}
	}
}

func validate(t *testing.T, s *jsonschema.Schema, raw []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

func TestSchema(t *testing.T) {
	s := schemaOf(t, Schema())
	full := small(t)
	full.Title, full.Timeline, full.Timing, full.Workload.Filters = "March", true, &Timing{Wall: 2 * time.Second}, []string{"tag linux"}
	empty := &Report{Result: &simulate.Result{}}
	for name, r := range map[string]*Report{"full": full, "plain": small(t), "empty": empty} {
		var out bytes.Buffer
		if err := r.WriteJSON(&out); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := validate(t, s, out.Bytes()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := []byte(strings.Replace(`{"schema":"taskscaler.simulation/v1"}`, "v1", "v0", 1))
	if validate(t, s, bad) == nil {
		t.Error("the schema takes what is no report")
	}
}

func TestComparisonSchema(t *testing.T) {
	s := schemaOf(t, ComparisonSchema())
	for name, c := range map[string]*Comparison{"full": compared(t), "empty": {}} {
		var out bytes.Buffer
		if err := c.WriteJSON(&out); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := validate(t, s, out.Bytes()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestContract names the members that readers were promised, apart from the schema, which is written by the same hand as the code.
func TestContract(t *testing.T) {
	r := small(t)
	r.Timing = &Timing{Wall: time.Second}
	var out bytes.Buffer
	if err := r.WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(`schema seed jobs.arrived jobs.completed jobs.censored wait_seconds.mean wait_seconds.p50 wait_seconds.p90
		wait_seconds.p95 wait_seconds.p99 wait_seconds.max wait_fraction wait_by_cause instances.created instances.deleted instances.peak
		instances.unproductive instance_hours.total instance_hours.busy instance_hours.idle instance_hours.boot instance_hours.drain
		utilization cost.total cost.per_job cost.idle_share engine.events engine.wall_seconds engine.jobs_per_second`) {
		at := any(doc)
		for _, name := range strings.Split(path, ".") {
			m, _ := at.(map[string]any)
			var ok bool
			if at, ok = m[name]; !ok {
				t.Errorf("%s is missing", path)
			}
		}
	}
	r.Timing = nil
	out.Reset()
	if err := r.WriteJSON(&out); err != nil || bytes.Contains(out.Bytes(), []byte("engine")) {
		t.Errorf("without timing there is an engine (%v)", err)
	}
}

func TestNoNumber(t *testing.T) {
	r := &Report{Result: &simulate.Result{Utilization: math.NaN()}}
	var out bytes.Buffer
	if err := r.WriteJSON(&out); err == nil || out.Len() > 0 {
		t.Errorf("NaN was written: %v, %s", err, out.String())
	}
}

func TestCSVIsJSON(t *testing.T) {
	r := small(t)
	var out bytes.Buffer
	if err := r.WriteCSV(&out); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, row := range rows {
		if _, twice := seen[row[0]]; twice {
			t.Errorf("the key %q is there twice", row[0])
		}
		seen[row[0]] = row[1]
	}
	figures, err := Figures(r.Result)
	if err != nil || len(figures) < 40 {
		t.Fatalf("%d figures, %v", len(figures), err)
	}
	for _, f := range figures {
		if seen[f.Path] != rounded(f.Value, 9) {
			t.Errorf("%s is %q in CSV, %v in JSON", f.Path, seen[f.Path], f.Value)
		}
	}
}

func TestValueOf(t *testing.T) {
	r := small(t)
	for path, want := range map[string]float64{
		"mean_wait": r.Result.Waits.Mean, "wait_seconds.p95": r.Result.Waits.Quantile(0.95), "p99_wait": r.Result.Waits.Quantile(0.99),
		"cost": r.Result.Cost.Total, "instances.peak": float64(r.Result.Instances.Peak), "wait_by_tag.lint <fast>.jobs": float64(r.Result.ByTag[2].Jobs),
		"wait_by_cause.quota": 0, "denials": 0,
	} {
		got, err := ValueOf(r.Result, path)
		if err != nil || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, want %v (%v)", path, got, want, err)
		}
	}
	var unknown *UnknownFigureError
	_, err := ValueOf(r.Result, "wait_second.p95")
	if !errors.As(err, &unknown) || unknown.Nearest != "wait_seconds.p95" {
		t.Errorf("got %v", err)
	}
}

func TestTextIsSafeAndFits(t *testing.T) {
	r := small(t)
	r.Title, r.Workload.Name = "evil \x1b[31m\nname\u202e", strings.Repeat("x", 10)
	for _, width := range []int{0, 60, 100, 500} {
		var out bytes.Buffer
		if err := r.WriteText(&out, TextOptions{Width: width}); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(out.String(), "\x1b\u202e") {
			t.Errorf("control characters reach the terminal:\n%q", out.String())
		}
		most := TextOptions{Width: width}.withDefaults().Width
		for _, line := range strings.Split(out.String(), "\n") {
			if n := len([]rune(line)); n > most && most >= 80 {
				t.Errorf("width %d: %d columns: %s", width, n, line)
			}
		}
		if lines := strings.Count(out.String(), "\n"); lines > 40 {
			t.Errorf("%d lines are more than a screen", lines)
		}
	}
	var plain, colour bytes.Buffer
	if err := errors.Join(r.WriteText(&plain, TextOptions{}), r.WriteText(&colour, TextOptions{Color: true})); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(colour.String(), "\x1b[") {
		t.Error("no colour where it was asked for")
	}
}

func TestEmptyResult(t *testing.T) {
	r := &Report{Result: &simulate.Result{}}
	var out bytes.Buffer
	if err := errors.Join(r.WriteJSON(&out), r.WriteCSV(&out), r.WriteText(&out, TextOptions{}),
		r.WriteHTML(&out)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "NaN") || strings.Contains(out.String(), "+Inf") {
		t.Error("a figure of nothing is not a number")
	}
}
