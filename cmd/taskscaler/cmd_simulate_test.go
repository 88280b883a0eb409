package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

const simulated1 = `[[runners]]
name = "sim"
executor = "instance"
token = "glrt-very-secret"
[runners.autoscaler]
plugin = "fake"
max_instances = 50
[[runners.autoscaler.policy]]
idle_count = 4
idle_time = "10m"
preemptive_mode = false
`

const someJobs = "poisson:rate=0.02/s,duration=exp:300s,jobs=3000"

// file puts a text into a folder of its own.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSimulateReports(t *testing.T) {
	config := file(t, "config.toml", simulated1)
	model := file(t, "model.toml", "preset = \"windows-vm\"\n[price]\nper_hour = 0.5\n")
	args := []string{"simulate", "--config", config, "--model", model, "--workload", someJobs}
	for format, want := range map[string]string{"text": "Simulation of sim", "json": `"schema": "taskscaler.simulation/v1"`, "csv": "jobs.arrived,3000",
		"html": "<!doctype html>"} {
		code, out, errs := try(t, append(args, "--format", format)...)
		if code != 0 || errs != "" || !strings.Contains(strings.ToLower(out), strings.ToLower(want)) {
			t.Errorf("%s: exit code %d, standard error %q, report\n%.300s", format, code, errs, out)
		}
		if strings.Contains(out, "glrt-very-secret") {
			t.Errorf("%s: the report has the runner's token", format)
		}
		if _, again, _ := try(t, append(args, "--format", format)...); again != out {
			t.Errorf("%s: the same seed gave other bytes", format)
		}
		if _, other, _ := try(t, append(args, "--format", format, "--seed", "2")...); other == out {
			t.Errorf("%s: another seed gave the same bytes", format)
		}
	}
}

func TestSimulateContract(t *testing.T) {
	config := file(t, "config.toml", simulated1)
	code, out, errs := try(t, "simulate", "--config", config, "--workload", someJobs, "--format", "json", "--timing", "--check")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	var r struct {
		Seed          uint64
		Jobs          struct{ Arrived, Completed, Censored int }
		WaitSeconds   map[string]float64 `json:"wait_seconds"`
		InstanceHours map[string]float64 `json:"instance_hours"`
		Cost          map[string]float64
		Engine        map[string]float64
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.Seed != 1 || r.Jobs.Arrived != 3000 || r.Jobs.Completed != 3000 || r.Jobs.Censored != 0 || r.InstanceHours["busy"] <= 0 {
		t.Errorf("%+v", r)
	}
	for _, key := range []string{"mean", "p50", "p90", "p95", "p99", "max"} {
		if _, ok := r.WaitSeconds[key]; !ok {
			t.Errorf("wait_seconds.%s is missing", key)
		}
	}
	for _, key := range []string{"events", "wall_seconds", "jobs_per_second"} {
		if r.Engine[key] <= 0 {
			t.Errorf("engine.%s is %v", key, r.Engine[key])
		}
	}
	if code, schema, _ := try(t, "simulate", "schema"); code != 0 || !json.Valid([]byte(schema)) || !strings.Contains(schema, "wait_seconds") {
		t.Errorf("schema: exit code %d\n%.200s", code, schema)
	}
	if code, schema, _ := try(t, "simulate", "schema", "--comparison"); code != 0 || !json.Valid([]byte(schema)) {
		t.Errorf("schema of comparisons: exit code %d", code)
	}
}

func TestSimulateGates(t *testing.T) {
	config := file(t, "config.toml", simulated1)
	args := []string{"simulate", "--config", config, "--workload", someJobs}
	code, out, errs := try(t, append(args, "--assert", "p95_wait<60s", "--assert", "jobs.completed>=3000")...)
	if code != 0 || errs != "" {
		t.Errorf("what holds: exit code %d, %s", code, errs)
	}
	if !strings.Contains(out, "Simulation of sim") {
		t.Errorf("no report: %q", out)
	}
	code, out, errs = try(t, append(args, "--replicas", "3", "--assert", "p95_wait<60s", "--assert", "instance_hours<1", "--assert",
		"utilization>99%")...)
	if code != 3 || strings.Contains(errs, "p95_wait") || !strings.Contains(errs, "instance_hours<1 fails: instance_hours is ") ||
		!strings.Contains(errs, "utilization>99% fails") || out == "" {
		t.Errorf("what fails: exit code %d, %s", code, errs)
	}
}

func TestSimulateChooses(t *testing.T) {
	config := file(t, "config.toml", simulated1)
	other := file(t, "other.toml", strings.Replace(simulated1, "idle_count = 4", "idle_count = 20", 1))
	model := file(t, "model.toml", "[boot]\ndistribution = \"constant\"\nvalue = \"1m\"\n[price]\nper_hour = 1\n")
	code, out, errs := try(t, "simulate", "compare", config, other, "--model", model, "--workload", someJobs, "--format", "json")
	var compared struct {
		Runs []struct {
			Name string
			Cost struct{ Total float64 }
		}
	}
	if err := json.Unmarshal([]byte(out), &compared); code != 0 || err != nil || len(compared.Runs) != 2 || compared.Runs[1].Name != "other.toml" ||
		compared.Runs[1].Cost.Total <= compared.Runs[0].Cost.Total {
		t.Errorf("compare: exit code %d, %v, %s\n%+v", code, err, errs, compared)
	}
	if code, _, errs := try(t, "simulate", "compare", config, "--workload", someJobs); code != 2 || !strings.Contains(errs, "two configurations") {
		t.Errorf("compare of one: exit code %d, %s", code, errs)
	}
	found := filepath.Join(t.TempDir(), "policy.toml")
	code, out, errs = try(t, "simulate", "recommend", "--config", other, "--model", model, "--workload", someJobs, "--slo", "p95_wait<=30s",
		"--budget", "12", "--policy", found)
	if code != 0 || !strings.Contains(out, "today") {
		t.Fatalf("recommend: exit code %d, %s\n%s", code, errs, out)
	}
	if code, out, _ := try(t, "validate", "--fragment", found); code != 0 {
		t.Errorf("validate of the recommended policy: exit code %d\n%s", code, out)
	}
	code, _, errs = try(t, "simulate", "recommend", "--config", other, "--model", model, "--workload", someJobs, "--slo", "cost<=0.01", "--budget", "8")
	if code != 1 || !strings.Contains(errs, "no tried policy keeps") {
		t.Errorf("an SLO that cannot be kept: exit code %d, %s", code, errs)
	}
}

func TestSimulateBadInput(t *testing.T) {
	config := file(t, "config.toml", simulated1)
	log := func(text string) string { return file(t, "jobs.csv", text) }
	model := func(text string) string { return file(t, "model.toml", text) }
	good := "arrival,duration\n10,5\n20,5\n"
	cut := file(t, "t.dat", "\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00")
	bad95 := model("[boot]\ndistribution = \"lognormal\"\np50 = \"60s\"\np95 = \"30s\"\n")
	never := file(t, "p.toml", strings.NewReplacer("idle_count = 4", "idle_count = 0", "= false", "= true").Replace(simulated1))
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no config", []string{"--workload", someJobs}, 2, "--config is required"},
		{"no workload", []string{"--config", config}, 2, "--workload is required"},
		{"config not there", []string{"--config", "nowhere.toml", "--workload", someJobs}, 1, "nowhere.toml: no such file"},
		{"config with faults", []string{"--config", file(t, "c.toml", tinyWith("-1")), "--workload", someJobs}, 1,
			"c.toml:8: runners.autoscaler.policy.idle_count"},
		{"workload not there", []string{"--config", config, "--workload", "nowhere.csv"}, 1, "nowhere.csv: the workload cannot be opened"},
		{"truncated trace", []string{"--config", config, "--workload", cut, "--format-in", "taskcluster"}, 1,
			"the file ends in the middle of a job"},
		{"wrong column", []string{"--config", config, "--workload", log(good), "--columns", "arrival=when"}, 1, `there is no column "when"`},
		{"no such field", []string{"--config", config, "--workload", log(good), "--columns", "arrived=arrival"}, 2,
			`--columns: workload: the column map names the field "arrived"`},
		{"negative durations", []string{"--config", config, "--workload", log("arrival,duration\n10,-5\n")}, 1, "the run time is negative"},
		{"empty trace", []string{"--config", config, "--workload", log("arrival,duration\n")}, 1, "the workload has no jobs"},
		{"spec", []string{"--config", config, "--workload", "poisson:rate=fast,jobs=1,duration=1s"}, 2, `--workload: workload spec: `},
		{"filter of a spec", []string{"--config", config, "--workload", someJobs, "--tag", "linux"}, 2, "--tag is for logs"},
		{"p95 below p50", []string{"--config", config, "--workload", someJobs, "--model", bad95}, 1,
			"model.toml:4: boot.p95: must not be less than p50 (1m0s), is 30s"},
		{"model not there", []string{"--config", config, "--workload", someJobs, "--model", "nowhere.toml"}, 1, "nowhere.toml: no such file"},
		{"no such shape", []string{"--config", config, "--workload", someJobs, "--model", model("[shapes.big]\n"), "--shape", "bog"}, 1,
			`did you mean "big"?`},
		{"shape without a model", []string{"--config", config, "--workload", someJobs, "--shape", "big"}, 2, "--shape chooses a shape"},
		{"a policy that never serves", []string{"--config", never, "--workload", someJobs}, 1,
			"no job was served: preemptive_mode accepts a job only if a slot is free"},
		{"a cloud that never serves", []string{"--config", config, "--workload", someJobs, "--model", model("[[stockout.windows]]\nfrom = \"0s\"\n")}, 1,
			"no job was served: no instance was ever created"},
		{"boots that never end", []string{"--config", config, "--workload", someJobs, "--model", model("[boot_failure]\nprobability = 1.0\n")}, 1,
			"instances were created, and none was ready in time"},
		{"warm-up beyond the end", []string{"--config", config, "--workload", someJobs, "--warmup", "10000h"}, 1, "no job arrives after the warm-up"},
		{"negative warm-up", []string{"--config", config, "--workload", someJobs, "--warmup", "-1h"}, 2, "warmup must not be negative"},
		{"time zone", []string{"--config", config, "--workload", someJobs, "--timezone", "Mars/Olympus"}, 2, "which is not a time zone"},
		{"start", []string{"--config", config, "--workload", someJobs, "--start", "yesterday"}, 2, `--start: "yesterday" is not a time`},
		{"from and to", []string{"--config", config, "--workload", log(good), "--from", "2026-01-05", "--to", "3h"}, 2, "must both be times"},
		{"to before from", []string{"--config", config, "--workload", log(good), "--from", "3h", "--to", "1h"}, 2, "not after --from"},
		{"format", []string{"--config", config, "--workload", someJobs, "--format", "pdf"}, 2, `--format is "pdf", which is not`},
		{"assertion", []string{"--config", config, "--workload", someJobs, "--assert", "p95_weight<3"}, 2, "did you mean"},
		{"runner", []string{"--config", config, "--workload", someJobs, "--runner", "sum"}, 2, `runner "sum": no runner has this name, id or position`},
		{"scale", []string{"--config", config, "--workload", log(good), "--scale", "twice"}, 2, `"twice" is not a scale`},
		{"output", []string{"--config", config, "--workload", someJobs, "--output", filepath.Join(t.TempDir(), "no", "r.html")}, 1, "write the report"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, errs := try(t, append([]string{"simulate"}, c.args...)...)
			if code != c.code || !strings.Contains(errs, c.want) {
				t.Errorf("exit code %d, want %d with %q:\n%s", code, c.code, c.want, errs)
			}
		})
	}
}

// Every flag that the guide names exists, and what the examples' README says works.
func TestSimulateDocumentation(t *testing.T) {
	guide, err := os.ReadFile("../../docs/simulation.md")
	if err != nil {
		t.Fatal(err)
	}
	simulate := newSimulate(environment{})
	known := func(name string) bool {
		return slices.ContainsFunc(append(simulate.Commands(), simulate), func(c *cobra.Command) bool { return c.Flags().Lookup(name) != nil })
	}
	named := regexp.MustCompile("--[a-z][a-z-]*").FindAllString(string(guide), -1)
	if len(named) < 20 {
		t.Fatalf("the guide names %d flags", len(named))
	}
	for _, flag := range named {
		if !known(strings.TrimPrefix(flag, "--")) {
			t.Errorf("the guide names %s, which does not exist", flag)
		}
	}
}

func TestSimulateExamples(t *testing.T) {
	t.Chdir("../../examples/simulate")
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for line := range strings.Lines(string(readme)) {
		args, ours := strings.CutPrefix(strings.TrimSpace(line), "taskscaler ")
		if !ours || strings.Contains(args, "--output") {
			continue
		}
		ran++
		if code, out, errs := try(t, strings.Fields(strings.ReplaceAll(args, "'", ""))...); code != 0 || out == "" {
			t.Errorf("%s: exit code %d\n%s", line, code, errs)
		}
	}
	if ran < 3 {
		t.Errorf("%d commands in the README", ran)
	}
	if code, out, _ := try(t, "validate", "config.toml", "hours.toml"); code != 0 {
		t.Errorf("validate: %s", out)
	}
}
