package explain_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/explain"
	"github.com/taskscaler/taskscaler/internal/explain/explaintest"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// manager answers requests for the status.
type manager struct {
	runners []control.RunnerStatus
	err     error
}

func (m manager) Status(_ context.Context, runner string) (control.Status, error) {
	var found []control.RunnerStatus
	for _, r := range m.runners {
		if runner == "" || r.Name == runner {
			found = append(found, r)
		}
	}
	return control.Status{Runners: found}, m.err
}

func running(name, journal string) control.RunnerStatus {
	return control.RunnerStatus{Name: name, Position: 1, Journal: journal, Fleet: &taskscaler.Status{}}
}

// run is one `taskscaler explain`.
func run(t *testing.T, q explain.Request, runners ...control.RunnerStatus) (string, error) {
	t.Helper()
	var out bytes.Buffer
	q.Out, q.Location, q.Now, q.Last = &out, time.UTC, explaintest.Start.Add(time.Minute), 10
	if q.Journals == nil {
		q.Journals = func() (explain.Journals, error) { return manager{runners: runners}, nil }
	}
	err := explain.Run(t.Context(), q)
	return out.String(), err
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	restarts(t).Journal(dir, 0)
	one, other := running("one", dir), running("two", "/nowhere")
	for _, c := range []struct {
		q       explain.Request
		runners []control.RunnerStatus
		want    string
	}{
		{explain.Request{}, []control.RunnerStatus{one}, "runner one: the journal covers 2026-03-02 12:00:00 to 12:01:00"},
		{explain.Request{Runner: "one"}, []control.RunnerStatus{one, other}, "there is   1 instance"},
		{explain.Request{}, []control.RunnerStatus{one, {Name: "refused", Refused: "because"}}, "there is   1 instance"},
		{explain.Request{Key: "a"}, []control.RunnerStatus{one}, "key a: leased"},
		{explain.Request{Instance: "i-2"}, []control.RunnerStatus{one}, "instance i-2: gone"},
		{explain.Request{At: "-30s"}, []control.RunnerStatus{one}, "at 2026-03-02 12:00:30"},
		{explain.Request{Journal: dir, At: "12:00:01"}, nil, "at 2026-03-02 12:00:01"},
	} {
		out, err := run(t, c.q, c.runners...)
		if err != nil || !strings.Contains(out, c.want) {
			t.Errorf("%+v: %v, want %q in\n%s", c.q, err, c.want, out)
		}
	}
	out, err := run(t, explain.Request{JSON: true}, one)
	var d explain.Document
	if err := errors.Join(err, json.Unmarshal([]byte(out), &d)); err != nil || d.Schema != explain.Schema || d.Runner != "one" || d.State == nil {
		t.Errorf("JSON: %v\n%s", err, out)
	}
}

func TestRunRefuses(t *testing.T) {
	dir := t.TempDir()
	restarts(t).Journal(dir, 0)
	away := func() (explain.Journals, error) {
		return manager{err: &control.AwayError{Where: "/run/x", Err: fs.ErrNotExist}}, nil
	}
	broken := func() (explain.Journals, error) { return nil, errors.New("no socket directory") }
	one := running("one", dir)
	for _, c := range []struct {
		q       explain.Request
		runners []control.RunnerStatus
		want    string
	}{
		{explain.Request{Key: "a", Instance: "i-1"}, nil, "exclude each other"},
		{explain.Request{Journal: dir, Config: "x"}, nil, "--journal and --config exclude each other"},
		{explain.Request{Journal: dir, Runner: "x"}, nil, "--journal and --runner exclude each other"},
		{explain.Request{At: "noonish"}, nil, `--at: "noonish" is not a time`},
		{explain.Request{Journals: away}, nil, "start one with `taskscaler run --config FILE`, or give its socket with --socket; or read the journal of a stopped manager"},
		{explain.Request{Journals: broken}, nil, "no socket directory"},
		{explain.Request{}, []control.RunnerStatus{one, running("two", dir)}, "choose one with --runner: 1: one; 1: two"},
		{explain.Request{}, []control.RunnerStatus{running("one", "")}, `runner "one" has no journal, so nothing can be explained: set enabled = true`},
		{explain.Request{}, []control.RunnerStatus{{Name: "x", Refused: "because"}}, "`taskscaler status` says why"},
		{explain.Request{Key: "nobody"}, []control.RunnerStatus{one}, `contains no key "nobody"`},
		{explain.Request{At: "11:59"}, []control.RunnerStatus{one}, "is outside the journal: ask for a time from 2026-03-02 12:00:00 to 2026-03-02 12:01:00 UTC"},
		{explain.Request{Journal: t.TempDir()}, nil, "has no segment of a journal"},
		{explain.Request{Journal: "/nowhere"}, nil, "no such file or directory: give the folder `journal`"},
		{explain.Request{Journal: "run_test.go"}, nil, "cannot replay run_test.go: it is not a segment of a journal"},
		{explain.Request{Config: "/nowhere.toml"}, nil, "no such file"},
	} {
		if out, err := run(t, c.q, c.runners...); err == nil || !strings.Contains(err.Error(), c.want) || out != "" {
			t.Errorf("%+v: %v, want %q\n%s", c.q, err, c.want, out)
		}
	}
}

const config = `
[[runners]]
name = "one"
url = "https://gitlab.example"
executor = "instance"
[runners.autoscaler]
plugin = "fake"
max_instances = 1
[runners.autoscaler.state_storage]
dir = "state"
`

// TestRunFromConfig: without a running manager, the configuration says where the journal is.
func TestRunFromConfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := run(t, explain.Request{Config: file})
	if err == nil || !strings.Contains(err.Error(), "no manager has run with this file") {
		t.Fatalf("no journal: %v", err)
	}
	// The message names the place.
	_, rest, _ := strings.Cut(err.Error(), "has no journal at ")
	where, _, _ := strings.Cut(rest, ":")
	restarts(t).Journal(where, 0)
	out, err := run(t, explain.Request{Config: file})
	if err != nil || !strings.Contains(out, "runner one: the journal covers") {
		t.Errorf("%v\n%s", err, out)
	}
	if err := os.WriteFile(file, []byte(config+strings.Replace(config, `"one"`, `"two"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, explain.Request{Config: file}); err == nil || !strings.Contains(err.Error(), "has 2 runners with [runners.autoscaler]; choose one with --runner") {
		t.Errorf("two runners: %v", err)
	}
	if out, err := run(t, explain.Request{Config: file, Runner: "one"}); err != nil || !strings.Contains(out, "there is") {
		t.Errorf("one of two: %v\n%s", err, out)
	}
	if err := os.WriteFile(file, []byte("[[runners]]\nexecutor = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, explain.Request{Config: file}); err == nil {
		t.Error("a file with faults is explained")
	}
}
