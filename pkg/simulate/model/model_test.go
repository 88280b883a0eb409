package model

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

const everything = `
max_size = 40
[boot]
distribution = "lognormal"
p50 = "30s"
p95 = "60s"
[ready]
distribution = "exponential"
mean = "5s"
[delete]
distribution = "empirical"
samples = ["10s", "20s"]
[boot_failure]
probability = 0.02
mode = "die"
after = { distribution = "constant", value = "1m" }
[discovery]
mode = "instant"
[price]
per_hour = 1
billing = "minute"
minimum = "10m"
[spot]
reclaim_per_hour = 0.05
notice = "2m"
[stockout]
windows = [{ from = "1h", until = "2h", every = "24h" }]
[quota]
limit = 30
[[quota.windows]]
from = "3h"
limit = 0
`

func parse(t *testing.T, text, shape string) *Model {
	t.Helper()
	m, err := Parse("m.toml", []byte(text), shape)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEveryKey(t *testing.T) {
	m := parse(t, everything, "")
	want := cloudmodel.Config{
		MaxSize: 40, Boot: cloudmodel.LogNormal(30*time.Second, time.Minute), Delete: cloudmodel.Empirical(10*time.Second, 20*time.Second),
		BootFailure: cloudmodel.BootFailure{Probability: 0.02, Mode: "die", After: cloudmodel.Constant(time.Minute)},
		Price:       cloudmodel.Price{PerHour: 1, Billing: "minute", Minimum: cloudmodel.D(10 * time.Minute)},
		Spot:        cloudmodel.Spot{ReclaimPerHour: 0.05, Notice: cloudmodel.D(2 * time.Minute)},
		StockOut: cloudmodel.StockOut{Windows: []cloudmodel.Window{{From: cloudmodel.D(time.Hour), Until: cloudmodel.D(2 * time.Hour),
			Every: cloudmodel.D(24 * time.Hour)}}},
		Quota: cloudmodel.Quota{Limit: 30, Windows: []cloudmodel.QuotaWindow{{Window: cloudmodel.Window{From: cloudmodel.D(3 * time.Hour)}}}},
	}
	if !reflect.DeepEqual(m.Cloud, want) {
		t.Errorf("the cloud is\n%+v, want\n%+v", m.Cloud, want)
	}
	if !reflect.DeepEqual(m.Ready, cloudmodel.Exponential(5*time.Second)) || !m.Instant {
		t.Errorf("ready %+v, instant %t", m.Ready, m.Instant)
	}
	var o simulate.Options
	o.Concurrent = 7
	m.Apply(&o)
	if !reflect.DeepEqual(o.Cloud, want) || !o.Instant || o.Concurrent != 7 || !reflect.DeepEqual(o.Ready, m.Ready) {
		t.Errorf("options are %+v", o)
	}
}

func TestNothingIsAPerfectCloud(t *testing.T) {
	for _, text := range []string{"", "[boot]\ndistribution = \"constant\"\nvalue = \"0s\"\n", "[discovery]\nmode = \"poll\"\n",
		"[boot_failure]\n", "[price]\nper_hour = 0"} {
		m := parse(t, text, "")
		if m.Instant || m.Cloud.Boot.Value.Value() != 0 || m.Cloud.Price.PerHour != 0 {
			t.Errorf("%q: %+v", text, m)
		}
	}
}

func TestPresets(t *testing.T) {
	if len(presetNames()) < 5 || !strings.Contains(string(presetsText), "[mac.price]") {
		t.Fatalf("presets: %v", presetNames())
	}
	for _, name := range presetNames() {
		m := parse(t, "preset = \""+name+"\"\n", "")
		if m.Cloud.Boot.IsZero() || m.Cloud.Price.PerHour != 0 {
			t.Errorf("%s: boot %+v, price %+v: a preset says how long a boot takes, and has no price", name, m.Cloud.Boot, m.Cloud.Price)
		}
	}
	if m := parse(t, `preset = "windows-vm"`, ""); m.Cloud.Boot.P50.Value() != 5*time.Minute {
		t.Errorf("a Windows machine boots in %s", m.Cloud.Boot.P50)
	}
	m := parse(t, "preset = \"mac\"\n[price]\nper_hour = 1.5\n[boot]\ndistribution = \"constant\"\nvalue = \"8m\"\n", "")
	if got := m.Cloud.Price.Cost(time.Hour); got != 36 {
		t.Errorf("an hour of a Mac costs %v, want the whole day's 36", got)
	}
	if !reflect.DeepEqual(m.Cloud.Boot, cloudmodel.Constant(8*time.Minute)) {
		t.Errorf("the file's own boot replaces the preset's as a whole, got %+v", m.Cloud.Boot)
	}
}

const shaped = `
preset = "linux-vm"
[price]
per_hour = 0.1
[shapes.small]
[shapes.large.price]
per_hour = 0.4
[shapes.windows]
preset = "windows-vm"
[shapes.windows.price]
per_hour = 0.3
`

func TestShapes(t *testing.T) {
	for _, c := range []struct {
		shape string
		price float64
		p50   time.Duration
	}{{"", 0.1, 30 * time.Second}, {"small", 0.1, 30 * time.Second}, {"large", 0.4, 30 * time.Second}, {"windows", 0.3, 5 * time.Minute}} {
		m := parse(t, shaped, c.shape)
		if m.Cloud.Price.PerHour != c.price || m.Cloud.Boot.P50.Value() != c.p50 || m.Cloud.Price.Minimum.Value() != time.Minute || m.Shape != c.shape {
			t.Errorf("%q: %+v", c.shape, m.Cloud)
		}
		if !slices.Equal(m.Shapes, []string{"large", "small", "windows"}) {
			t.Errorf("shapes %v", m.Shapes)
		}
	}
	if m := parse(t, "shape = \"large\"\n"+shaped, ""); m.Shape != "large" || m.Cloud.Price.PerHour != 0.4 {
		t.Errorf("the file's own choice: %+v", m)
	}
	if m := parse(t, "shape = \"large\"\n"+shaped, "windows"); m.Cloud.Price.PerHour != 0.3 {
		t.Errorf("what is asked for counts more: %+v", m)
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name, text, shape string
		want              []string // "line key: part of the message"
	}{
		{"integer duration", "[boot]\ndistribution = \"constant\"\nvalue = 30\n", "",
			[]string{`3 boot.value: is an integer, must be a duration as a string (write value = "30s")`}},
		{"zero without a unit", "[boot]\ndistribution = \"constant\"\nvalue = 0\n", "", []string{`3 boot.value: is an integer`}},
		{"p95 below p50", "[boot]\ndistribution = \"lognormal\"\np50 = \"60s\"\np95 = \"30s\"\n", "",
			[]string{`4 boot.p95: must not be less than p50 (1m0s), is 30s`}},
		{"p95 missing", "[ready]\ndistribution = \"lognormal\"\np50 = \"60s\"\n", "", []string{`1 ready.p95: is missing`}},
		{"no duration", "[delete]\ndistribution = \"exponential\"\nmean = \"soon\"\n", "", []string{`3 delete.mean: "soon" is not a duration`}},
		{"negative", "[boot]\ndistribution = \"constant\"\nvalue = \"-5s\"\n", "", []string{`3 boot.value: must not be negative`}},
		{"unknown section", "[bot]\n", "", []string{`1 bot: unknown key "bot" (did you mean "boot"?)`}},
		{"unknown key", "[spot]\nreclaim_per_hours = 1\n", "",
			[]string{`2 spot.reclaim_per_hours: unknown key "reclaim_per_hours" (did you mean "reclaim_per_hour"?)`}},
		{"unknown in an array", "[stockout]\nwindows = [\n  { from = \"1h\", until = \"2h\" },\n  { form = \"1h\" },\n]\n", "",
			[]string{`4 stockout.windows[1].form: unknown key "form" (did you mean "from"?)`}},
		{"window", "[[stockout.windows]]\nfrom = \"2h\"\nuntil = \"1h\"\n", "", []string{`3 stockout.windows[0].until: must be later than from`}},
		{"sample", "[boot]\ndistribution = \"empirical\"\nsamples = [\"1s\",\n 2]\n", "", []string{`4 boot.samples[1]: is an integer`}},
		{"no samples", "[boot]\ndistribution = \"empirical\"\n", "", []string{`1 boot.samples: must hold at least one`}},
		{"kind", "[boot]\ndistribution = \"normal\"\n", "", []string{`2 boot.distribution: "normal" is unknown`}},
		{"no kind", "[boot]\nvalue = \"1s\"\n", "", []string{`1 boot.distribution: is missing`}},
		{"empty section", "[boot]\n", "", []string{`1 boot.distribution: is missing`}},
		{"mixed", "[boot]\ndistribution = \"constant\"\nvalue = \"1s\"\nmean = \"1s\"\n", "", []string{`4 boot.mean: is not used`}},
		{"probability", "[boot_failure]\nprobability = 1.5\n", "", []string{`2 boot_failure.probability: must lie between 0 and 1`}},
		{"price", "[price]\nper_hour = \"cheap\"\n", "", []string{`2 price.per_hour: is a string, must be a number`}},
		{"price nan", "[price]\nper_hour = nan\n", "", []string{`2 price.per_hour: must be a number`}},
		{"billing", "[price]\nbilling = \"week\"\n", "", []string{`2 price.billing: "week" is unknown`}},
		{"discovery", "[discovery]\nmode = \"push\"\n", "", []string{`2 discovery.mode: "push" is unknown: use poll or instant`}},
		{"list", "[list]\nlag = \"1s\"\n", "", []string{`1 list: works only in the fake plugin`}},
		{"preset", "preset = \"linux\"\n", "", []string{`1 preset: unknown preset "linux"`}},
		{"preset type", "preset = 3\n", "", []string{`1 preset: is an integer, must be a string`}},
		{"section type", "boot = \"30s\"\n", "", []string{`1 boot: is a string, must be a table (write it as [boot])`}},
		{"shape", "[shapes.small]\n", "smal", []string{`0 shape: there is no shape "smal" in this file (did you mean "small"?)`}},
		{"no shapes", "", "small", []string{`0 shape: there is no shape "small" in this file (it has none)`}},
		{"in a shape", "[shapes.a.price]\nbilling = \"week\"\n", "", []string{`2 shapes.a.price.billing: "week" is unknown`}},
		{"in the base only", "[price]\nbilling = \"week\"\n[shapes.a]\n[shapes.b.price]\nbilling = \"day\"\n", "",
			[]string{`2 price.billing: "week" is unknown`}},
		{"shapes type", "[shapes]\na = 1\n", "", []string{`2 shapes.a: is an integer, must be a table`}},
		{"syntax", "[boot]\nvalue = \n", "", []string{`2 : not valid TOML`}},
		{"count", "[quota]\nlimit = 99999999999\n", "", []string{`2 quota.limit: is 99999999999, at most`}},
		{"all at once", "[bot]\n[boot]\ndistribution = \"lognormal\"\np50 = \"60s\"\np95 = \"30s\"\n[price]\nper_hour = -1\nminimum = 60\n", "",
			[]string{`1 bot:`, `5 boot.p95:`, `7 price.per_hour:`, `8 price.minimum:`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("m.toml", []byte(c.text), c.shape)
			var faults config.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("error is %v", err)
			}
			if len(faults) != len(c.want) {
				t.Fatalf("faults are\n%v\nwant %d", err, len(c.want))
			}
			for i, want := range c.want {
				line, rest, _ := strings.Cut(want, " ")
				full := strings.TrimPrefix(faults[i].Error(), "m.toml")
				if line == "0" {
					line = ""
				} else {
					line = ":" + line
				}
				if rest = strings.TrimPrefix(rest, ": "); !strings.HasPrefix(full, line+": "+rest) {
					t.Errorf("fault is %q, want %q", full, line+": "+rest)
				}
			}
		})
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.toml")
	if _, err := Read(path, ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte(everything), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err := Read(path, ""); err != nil || m.Cloud.MaxSize != 40 {
		t.Errorf("%+v, %v", m, err)
	}
	if err := os.WriteFile(path, make([]byte, maxFileSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, ""); err == nil || !strings.Contains(err.Error(), "is it a model?") {
		t.Errorf("a huge file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(everything, "")
	f.Add(shaped, "windows")
	f.Add("[[stockout.windows]]\nfrom=1\n[boot]\nsamples=[[1],{a=1}]\n[shapes.\"a b\".boot]\n", "a b")
	f.Fuzz(func(t *testing.T, text, shape string) {
		m, err := Parse("m.toml", []byte(text), shape)
		if err != nil {
			var faults config.Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("an error without a fault: %v", err)
			}
			return
		}
		if err := errors.Join(m.Cloud.Validate(), m.Ready.Validate()); err != nil {
			t.Fatalf("accepted, and not valid: %v", err)
		}
		again, err := Parse("m.toml", []byte(text), shape)
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("read twice, two results: %v", err)
		}
	})
}

// The guide's model has every section, and is one; its table names every preset.
func TestDocumentation(t *testing.T) {
	guide, err := os.ReadFile("../../../docs/simulation.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "```toml\n")
	text, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("no model in the guide")
	}
	m := parse(t, text, "windows")
	if m.Cloud.Boot.P50.Value() != 5*time.Minute || m.Cloud.Price.PerHour != 0.31 || parse(t, text, "").Cloud.Quota.Limit != 300 {
		t.Errorf("%+v", m)
	}
	for i := range reflect.TypeFor[cloudmodel.Config]().NumField() {
		key, _, _ := strings.Cut(reflect.TypeFor[cloudmodel.Config]().Field(i).Tag.Get("toml"), ",")
		if key != "list" && !strings.Contains(text, key) {
			t.Errorf("the guide's model does not show %s", key)
		}
	}
	for _, name := range presetNames() {
		if !strings.Contains(string(guide), "| `"+name+"` |") {
			t.Errorf("the guide does not tell of the preset %s", name)
		}
	}
}
