package config

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expected problems in testdata, and docs/configuration.md")

// problems renders a report as the golden files show it.
func problems(report *Report) string {
	var b strings.Builder
	for _, p := range report.Problems {
		fmt.Fprintf(&b, "%s %s column %d\n  %s\n", p.Severity, p.Code, p.Column, p.Error())
	}
	return b.String()
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no file matches %s", pattern)
	}
	return files
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// golden compares got with the file beside the input, or rewrites it with -update.
func golden(t *testing.T, input, got string) {
	t.Helper()
	path := strings.TrimSuffix(input, ".toml") + ".golden"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := string(readFile(t, path)); got != want {
		t.Errorf("%s: got\n%swant\n%s(if this is right: go test ./pkg/config -update)", input, got, want)
	}
}

func TestBadFiles(t *testing.T) {
	for _, path := range glob(t, "testdata/bad/*.bad.toml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, report := Parse(filepath.Base(path), readFile(t, path))
			golden(t, path, problems(report))
			if report.Err() == nil {
				t.Error("no fault")
			}
			for _, p := range report.Faults() {
				if p.Line == 0 {
					t.Errorf("a fault without a line: %v", p)
				}
			}
			checkSecrets(t, problems(report))
		})
	}
}

func TestGoodFiles(t *testing.T) {
	for _, path := range glob(t, "testdata/good/*.toml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			file, report := Parse(filepath.Base(path), readFile(t, path))
			golden(t, path, problems(report))
			if err := report.Err(); err != nil {
				t.Error(err)
			}
			if file == nil {
				t.Fatal("no file")
			}
			for _, r := range file.Runners {
				if r.Autoscaler != nil && r.Autoscaler.Schedule == nil {
					t.Errorf("%s has no schedule", r.Label())
				}
			}
		})
	}
}

func TestFragments(t *testing.T) {
	for _, path := range glob(t, "testdata/fragment/*.toml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			golden(t, path, problems(ValidateFragment(filepath.Base(path), readFile(t, path))))
		})
	}
}

// sharedConfigs are real files of users, with the problems that must be found in each, as "severity code line". The files are not part of
// this repository.
var sharedConfigs = map[string][]string{
	"company-template.toml": {
		"warning capacity_out_of_reach 2", "warning capacity_out_of_reach 22", "warning seven_fields 70",
		"warning factor_never_acts 72", "warning seven_fields 78",
	},
	"docker-autoscaler.toml":       nil,
	"fragment-connector.toml":      nil,
	"fragment-scale-throttle.toml": nil,
	"fragment-two-policies.toml":   {"warning no_timezone 6"},
	"fragment-vm-isolation.toml":   {"warning vm_isolation 2", "warning nesting_config_string 4"},
	"no-autoscaler.toml":           {"warning no_autoscaling_runner 0"},
	"runner-as-table.toml":         {"warning lone_runners_table 1", "fault no_autoscaler 5", "warning allowed_images_string 8"},
}

func TestSharedConfigs(t *testing.T) {
	const dir = "../../../shared/configs" // ../shared/configs beside the module
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the shared configurations are absent (%v); they are looked for beside the module's root in ../shared/configs", err)
	}
	for _, path := range glob(t, dir+"/*.toml") {
		name := filepath.Base(path)
		want, known := sharedConfigs[name]
		if !known {
			t.Errorf("%s: no expected problems are listed for it", name)
			continue
		}
		report := new(Report)
		if strings.HasPrefix(name, "fragment-") {
			report = ValidateFragment(path, readFile(t, path))
		} else {
			var err error
			if _, report, err = Load(path); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, p := range report.Problems {
			got = append(got, fmt.Sprintf("%s %s %d", p.Severity, p.Code, p.Line))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
