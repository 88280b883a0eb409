package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/test/soak/check"
	"github.com/taskscaler/taskscaler/internal/test/stage"
	"github.com/taskscaler/taskscaler/pkg/config"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shortTemp makes a temporary folder with a short name (the path of a socket has a maximum length), and makes soaks use it.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "so")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("TMPDIR", dir)
	return dir
}

func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	s := &site{Stage: &stage.Stage{Dir: dir}}
	for _, p := range s.processes() {
		t.Errorf("a process is left: %s", p.line)
	}
}

// TestShortSoak runs a soak of a few seconds, with many kills.
func TestShortSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes about 30 s; not with -short")
	}
	dir := shortTemp(t)
	for length := 12 * time.Second; ; length *= 2 { // a busy machine needs more time for some jobs and kills
		var stdout, stderr bytes.Buffer
		args := []string{"-for", length.String(), "-seed", "5", "-min-gap", "200ms", "-max-gap", "900ms", "-phase", "2500ms"}
		if exit := run(t.Context(), args, &stdout, &stderr); exit != 0 {
			t.Fatalf("exit code %d\n%s%s", exit, stdout.String(), stderr.String())
		}
		if strings.Contains(stdout.String(), "\x1b") || stderr.Len() > 0 {
			t.Errorf("the output is not plain text: %q, %q", stdout.String(), stderr.String())
		}
		empty(t, dir)
		lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
		last := lines[len(lines)-1]
		var jobs, kills int
		_, err := fmt.Sscanf(last, "soak: %d jobs, %d kills, 0 violations, 0 left", &jobs, &kills)
		if err == nil && jobs >= 5 && kills >= 3 {
			return
		}
		if err != nil || length > patience {
			t.Fatalf("the last line is %q: %v", last, err)
		}
	}
}

// TestInterruptedSoakLeavesNothing interrupts a soak while jobs run.
func TestInterruptedSoakLeavesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a manager and instances; not with -short")
	}
	dir := shortTemp(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout, stderr bytes.Buffer
	var soak sync.WaitGroup
	exit := 0
	soak.Go(func() { exit = run(ctx, []string{"-for", "10m", "-phase", "3s"}, &stdout, &stderr) })
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		records, _ := filepath.Glob(filepath.Join(dir, "*", recordFolder, "*"))
		if ran := 0; len(records) > 0 {
			for _, path := range records {
				text, _ := os.ReadFile(path)
				ran += strings.Count(string(text), `"key":"job-`)
			}
			if ran > 0 {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Error("no job ran")
			break
		}
	}
	cancel()
	soak.Wait()
	if exit != 1 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("exit code %d, %q\n%s", exit, stderr.String(), stdout.String())
	}
	empty(t, dir)
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{{"-for", "0s"}, {"-for", "x"}, {"more"}, {"-min-gap", "2s", "-max-gap", "1s"}, {"-phase", "-1s"}, {"-no-such-flag"}} {
		var stdout, stderr bytes.Buffer
		if exit := run(t.Context(), args, &stdout, &stderr); exit != 2 || stderr.Len() == 0 || stdout.Len() > 0 {
			t.Errorf("%v: exit code %d, %q, %q", args, exit, stdout.String(), stderr.String())
		}
	}
}

// TestJudge: violations are printed with their lines before the last line, the folder is named, and the exit code is 1.
func TestJudge(t *testing.T) {
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	if exit := run(t.Context(), []string{"-check", dir}, &stdout, &stderr); exit != 1 || !strings.Contains(stderr.String(), "cannot be read") {
		t.Errorf("an empty folder: exit code %d, %q", exit, stderr.String())
	}
	log := ""
	for _, e := range []check.Entry{
		{Event: check.Begin, Limits: &check.Limits{Capacity: 1, MaxInstances: 1}}, {Event: check.Asked, Key: "k", Nonce: "n"},
		{Event: check.End, Left: &check.Left{Processes: []string{"7 sleep"}}},
	} {
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		log += string(raw) + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, logFile), []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout.Reset()
	if exit := run(t.Context(), []string{"-check", dir}, &stdout, &stderr); exit != 1 {
		t.Errorf("exit code %d", exit)
	}
	want := regexp.MustCompile(`(?s)told: "k" was never told anything\n    log:2 \{.*kept in ` + regexp.QuoteMeta(dir) +
		`\nsoak: 1 jobs, 0 kills, 2 violations, 1 left\n$`)
	if !want.MatchString(stdout.String()) {
		t.Errorf("it says\n%s", stdout.String())
	}
}

// TestConfig: every seed gives a valid configuration.
func TestConfig(t *testing.T) {
	for seed := range uint64(200) {
		text, limits := newConfig(seed)
		file, report := config.Parse("config.toml", []byte(text))
		if len(report.Problems) > 0 {
			t.Fatalf("seed %d: %v", seed, report.Problems)
		}
		a := file.Runners[0].Autoscaler
		if a.CapacityPerInstance != limits.Capacity || a.MaxUseCount != limits.MaxUses || a.MaxInstances != limits.MaxInstances {
			t.Fatalf("seed %d: %+v differs from the file", seed, limits)
		}
	}
}

func TestView(t *testing.T) {
	var out bytes.Buffer
	v := newView(&out, func() int { return 100 })
	v.phase("bursts")
	v.jobs(tally{running: 3})
	first := out.String()
	v.say("hello")
	v.end()
	if !strings.Contains(first, "3 running") || strings.Contains(first, "\n") || !strings.HasPrefix(out.String()[len(first):], "\r\x1b[K") {
		t.Errorf("%q", out.String())
	}
}
