package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/internal/test/burst"
	"github.com/taskscaler/taskscaler/pkg/config"
)

// TestQuickstart: the demonstration makes its configuration from the example, which must be suitable for a burst.
func TestQuickstart(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "examples", "quickstart", "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	derived, err := withRecords(string(text), "/somewhere/records")
	if err != nil {
		t.Fatal(err)
	}
	file, report := config.Parse("config.toml", []byte(derived))
	if len(report.Problems) > 0 {
		t.Fatalf("the example has problems: %v", report.Problems)
	}
	a := file.Runners[0].Autoscaler
	if !strings.Contains(string(a.PluginConfig.Raw()), `"record_dir":"/somewhere/records"`) {
		t.Error("plugin_config has no record_dir")
	}
	if slots := a.MaxInstances * a.CapacityPerInstance; slots < 20 || slots >= burst.JobCount {
		t.Errorf("the example has %d slots", slots)
	}
	if !a.DeleteInstancesOnShutdown || a.Plugin != "fleeting-plugin-fake" || a.Policies[0].Preemptive {
		t.Errorf("the example is not suitable for the demonstration: %+v", a)
	}
	if _, err := withRecords("[runners]", "x"); err == nil {
		t.Error("a configuration without plugin_config is accepted")
	}
}

// TestDemonstration runs the demonstration with its output in a pipe.
func TestDemonstration(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes about 15 s; not with -short")
	}
	var stdout, stderr bytes.Buffer
	if code := burst.Run(t.Context(), cloud(), &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, stdout.String(), stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if last := lines[len(lines)-1]; !regexp.MustCompile(`^demo: 40 jobs ok, \d+ instances created, 0 left$`).MatchString(last) {
		t.Errorf("the last line is %q", last)
	}
	if strings.Contains(stdout.String(), "\x1b") || stderr.Len() > 0 {
		t.Errorf("the output is not plain text: %q", stderr.String())
	}
}

func TestInterruptedDemonstrationLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if code := burst.Run(ctx, cloud(), &stdout, &stderr); code != 1 || !strings.HasPrefix(stderr.String(), "demo: failed: ") {
		t.Errorf("exit code %d, %q", code, stderr.String())
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
