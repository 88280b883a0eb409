package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/explain"
	"github.com/taskscaler/taskscaler/internal/explain/explaintest"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// hostileJournal writes a journal in which ids, keys and messages contain text, and returns its directory. Everything that has words happens:
// creates fail, lists fail, an instance is unhealthy, one is lost, one is foreign, a delete fails, a key is refused and revoked.
func hostileJournal(t *testing.T, text string) string {
	t.Helper()
	cfg := explaintest.Config(policy.Settings{IdleCount: 1, IdleTime: 10 * time.Second}, func(c *scaler.Config) { c.Heartbeat, c.MaxInstances = true, 3 })
	r := explaintest.New(t, cfg, explain.Options{})
	id := func(n string) record.ID { return record.ID(text + n) }
	fault := failure.Failure{Kind: failure.Transient, Message: text}
	made, broken := 0, true
	r.Answer = func(cmd scaler.Command, ev *scaler.Event) int {
		switch {
		case cmd.Kind == scaler.CmdIncrease && broken:
			ev.Failure, ev.Count = failure.Failure{Kind: failure.Quota, Message: text}, 0
		case cmd.Kind == scaler.CmdIncrease:
			for range cmd.Count {
				made++
				r.Cloud[id(string(rune('a'+made)))] = &explaintest.Machine{Boots: r.Now.Mono + r.Boot}
			}
		case cmd.Kind == scaler.CmdHeartbeat && cmd.ID == id("c"), cmd.Kind == scaler.CmdDelete && cmd.ID == id("b"):
			ev.Failure = fault
		}
		return 0
	}
	r.Acquire(record.Key(text), record.Key(text+"2"), record.Key(text))
	r.Run(time.Second)
	r.Do(scaler.Event{Kind: scaler.EvListFailed, Failure: fault})
	broken = false
	r.Run(2 * time.Minute)
	r.Cloud[id("foreign")] = &explaintest.Machine{}
	r.Run(time.Minute)
	r.Ask(scaler.EvRelease, record.Key(text), func(ev *scaler.Event) { ev.Cause, ev.Failure = record.CauseUnhealthy, fault })
	for m := range r.Cloud { //archtest:unordered each is treated alike
		r.Cloud[m].Away = made%2 == 0 && strings.HasSuffix(string(m), "c")
	}
	r.Run(5 * time.Minute)
	r.Restart(time.Minute)
	r.Acquire(record.Key(text + "3"))
	r.Run(time.Minute)
	dir := filepath.Join(t.TempDir(), inName)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r.Journal(dir, 0)
	return dir
}

// TestHostileJournal: a journal is a file, and others may give it to you.
func TestHostileJournal(t *testing.T) {
	for name, text := range map[string]string{"long": long, "not UTF-8": broken} {
		dir := hostileJournal(t, text)
		id, key := text+"b", text+"2"
		for what, args := range map[string][]string{
			"the state":   {"explain", "--journal", dir, "--last", "1000"},
			"an instance": {"explain", "--journal", dir, "--instance", id},
			"a key":       {"explain", "--journal", dir, "--key", key},
			"a time":      {"explain", "--journal", dir, "--at", "2026-03-02 12:03:00", "--utc"},
			"no instance": {"explain", "--journal", dir, "--instance", id + "none"},
			"no key":      {"explain", "--journal", dir, "--key", key + "none"},
			"a replay":    {"replay", dir},
		} {
			code, stdout, stderr := invoke(t, nil, args...)
			shown(t, name+", "+what, stdout, stderr)
			safe(t, name+", a value of "+what, stdout, true, 1<<10)
			if (code != 0) != strings.HasPrefix(what, "no ") {
				t.Errorf("%s, %s: %d, %.300s", name, what, code, stderr)
			}
		}
	}
}

// TestHostileJournalAsJSON: the ids, the keys and the messages are what the journal says.
func TestHostileJournalAsJSON(t *testing.T) {
	text := hostile[:len(hostile)-1] // an id of a list has no NUL
	dir := hostileJournal(t, text)
	_, stdout, stderr := invoke(t, nil, "explain", "--journal", dir, "--instance", text+"b", "--json")
	safe(t, "an instance", stdout+stderr, true, 1<<10)
	var d explain.Document
	if err := json.Unmarshal([]byte(stdout), &d); err != nil || d.Instance == nil || d.Instance.ID != text+"b" || len(d.Instance.Leases) == 0 ||
		!strings.HasPrefix(d.Instance.Leases[0].Key, text) {
		t.Errorf("%v, %.1000q", err, stdout)
	}
	_, stdout, stderr = invoke(t, nil, "explain", "--journal", dir, "--key", text+"2", "--json")
	safe(t, "a key", stdout+stderr, true, 1<<10)
	d = explain.Document{}
	if err := json.Unmarshal([]byte(stdout), &d); err != nil || d.Key == nil || d.Key.Key != text+"2" {
		t.Errorf("%v, %.1000q", err, stdout)
	}
	_, stdout, stderr = invoke(t, nil, "replay", dir, "--json")
	safe(t, "a replay", stdout+stderr, true, 1<<10)
	instances := 0
	for line := range strings.Lines(stdout) {
		var one struct{ Record *explain.Record }
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%v: %.300q", err, line)
		}
		if one.Record != nil && strings.HasPrefix(one.Record.Instance, text) {
			instances++
		}
	}
	if instances == 0 {
		t.Errorf("no decision is about a hostile instance: %.1000q", stdout)
	}
}
