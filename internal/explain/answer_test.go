package explain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
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

var update = flag.Bool("update", false, "rewrite the golden files; read the difference before you commit it")

var seoul = func() *time.Location {
	l, err := time.LoadLocation("Asia/Seoul")
	if err != nil {
		panic(err)
	}
	return l
}()

func calendar(p ...policy.Policy) *policy.Schedule {
	s, err := policy.Compile(p, time.UTC)
	if err != nil {
		panic(err)
	}
	return s
}

// scripts are histories that together contain every kind of record.
var scripts = []struct {
	name string
	// questions other than "now"; each has its own golden file.
	questions map[string]explain.Question
	play      func(t *testing.T) *explaintest.Rig
}{
	{"office-hours", map[string]explain.Question{
		"key": {Key: "c"}, "instance": {Instance: "i-1"}, "at": {At: explaintest.Start.Add(90 * time.Second)},
	}, officeHours},
	{"max-instances", nil, maxInstances},
	{"quota", nil, quota},
	{"breaker", nil, breakerOpens},
	{"jump-host", map[string]explain.Question{"instance": {Instance: "i-1"}}, jumpHostAway},
	{"unhealthy", map[string]explain.Question{"instance": {Instance: "i-1"}}, unhealthy},
	{"missing", map[string]explain.Question{"key": {Key: "job"}}, missing},
	{"reservations", map[string]explain.Question{"key": {Key: "poll"}, "at": {At: explaintest.Start.Add(15 * time.Second)}}, reservations},
	{"restart", map[string]explain.Question{"key": {Key: "a"}, "instance": {Instance: "i-1"}}, restarts},
	{"drain", nil, drains},
	{"foreign", nil, foreign},
	{"never-came", nil, neverCame},
	{"lists-fail", nil, listsFail},
	{"alarm", nil, alarm},
	{"adopt", map[string]explain.Question{"instance": {Instance: "x-1"}}, adopt},
}

// officeHours: more slots are needed by day; a throttle and max_instances limit the creates.
func officeHours(t *testing.T) *explaintest.Rig {
	r := explaintest.New(t, explaintest.Config(policy.Settings{}, func(c *scaler.Config) {
		c.MaxInstances, c.Throttle = 4, policy.Throttle{Limit: 0.05, Burst: 2}
		c.Schedule = calendar(policy.Policy{Settings: policy.Settings{IdleTime: 30 * time.Second}}, policy.Policy{
			Periods: []string{"* 8-22 * * mon-fri"}, Timezone: "Asia/Seoul", Settings: policy.Settings{IdleCount: 1, IdleTime: time.Minute},
		})
	}), explain.Options{})
	r.Run(10 * time.Second)
	r.Acquire("a", "b", "c")
	r.Run(50 * time.Second)
	r.Release("b")
	r.Run(90 * time.Second)
	r.Release("a")
	r.Run(30 * time.Second)
	return r
}

func maxInstances(t *testing.T) *explaintest.Rig {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleTime: time.Minute}, func(c *scaler.Config) { c.MaxInstances, c.MaxUses = 1, 2 }),
		explain.Options{})
	r.Acquire("a", "b")
	r.Ask(scaler.EvAcquire, "impatient", func(ev *scaler.Event) { ev.Deadline = r.Now.Mono + 8*time.Second })
	r.Run(10 * time.Second)
	r.Release("a")
	r.Run(10 * time.Second)
	r.Release("b")
	r.Dying = 3 * time.Second
	r.Run(10 * time.Second)
	return r
}

// quota: the provider refuses creates for a while.
func quota(t *testing.T) *explaintest.Rig {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleTime: time.Minute}), explain.Options{})
	refuse := true
	r.Answer = func(cmd scaler.Command, ev *scaler.Event) int {
		if cmd.Kind == scaler.CmdIncrease && refuse {
			ev.Count, ev.Failure = 0, failure.Failure{Kind: failure.Quota, Message: "no more vCPUs in this region"}
			return 0
		}
		return cmd.Count
	}
	r.Acquire("a", "b")
	r.Run(12 * time.Second)
	refuse = false
	r.Run(10 * time.Second)
	return r
}

// breakerOpens: the ready command fails every time.
func breakerOpens(t *testing.T) *explaintest.Rig {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleTime: time.Minute}), explain.Options{})
	bad := true
	r.Answer = func(cmd scaler.Command, ev *scaler.Event) int {
		if cmd.Kind == scaler.CmdPrepare && bad {
			ev.Failure = failure.Failure{Kind: failure.Unhealthy, Message: "ready command: exit code 1: no space left on device"}
		}
		return cmd.Count
	}
	r.Acquire("a", "b", "c", "d")
	r.Run(30 * time.Second)
	return r
}

// jumpHostAway: the way to the instances fails for a while.
func jumpHostAway(t *testing.T) *explaintest.Rig {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleTime: time.Minute}), explain.Options{})
	away := true
	r.Answer = func(cmd scaler.Command, ev *scaler.Event) int {
		if ev.On = cmd.Kind == scaler.CmdPrepare && away; ev.On {
			ev.Failure = failure.Failure{Kind: failure.Transient, Message: "the jump host bastion:22 cannot be reached"}
		}
		return cmd.Count
	}
	r.Acquire("a")
	r.Run(15 * time.Second)
	away = false
	r.Run(10 * time.Second)
	return r
}

// unhealthy: heartbeats fail while a job runs.
func unhealthy(t *testing.T) *explaintest.Rig {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleTime: time.Minute}, func(c *scaler.Config) { c.Heartbeat = true }), explain.Options{})
	ill, asked := false, 0
	r.Answer = func(cmd scaler.Command, ev *scaler.Event) int {
		switch {
		case cmd.Kind == scaler.CmdHeartbeat && ill && cmd.ID == "i-1":
			ev.Failure = failure.Failure{Kind: failure.Transient, Message: "the agent does not answer"}
		case cmd.Kind == scaler.CmdDelete:
			if asked++; asked < 3 {
				ev.Failure = failure.Failure{Kind: failure.Throttled, Message: "slow down"}
			}
		}
		return cmd.Count
	}
	r.Acquire("job")
	r.Run(10 * time.Second)
	ill = true
	r.Run(5 * time.Minute)
	return r
}

// missing: the provider loses an instance with a job on it.
func missing(t *testing.T) *explaintest.Rig {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleTime: time.Minute}), explain.Options{})
	r.Acquire("job")
	r.Run(10 * time.Second)
	r.Cloud["i-1"].Away = true
	r.Run(time.Minute)
	r.Cloud["i-1"].Away = false
	r.Run(10 * time.Second)
	return r
}

// reservations: a poller asks again and again, but no slot is free.
func reservations(t *testing.T) *explaintest.Rig {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleCount: 1, IdleTime: time.Minute, Preemptive: true},
		func(c *scaler.Config) { c.MaxInstances = 1 }), explain.Options{})
	r.Run(10 * time.Second)
	r.Ask(scaler.EvReserve, "first")
	for range 5 {
		r.Ask(scaler.EvReserve, "poll")
		r.Run(3 * time.Second)
	}
	r.Run(2 * time.Minute)
	r.Ask(scaler.EvReserve, "poll")
	r.Ask(scaler.EvAcquire, "poll")
	r.Ask(scaler.EvAcquire, "poll")
	r.Ask(scaler.EvRelease, "nobody")
	return r
}

// restarts: the manager is killed while jobs run; one caller comes back, one does not.
func restarts(t *testing.T) *explaintest.Rig {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleTime: time.Minute}, func(c *scaler.Config) {
		c.ReattachAfterRestart, c.MaxInstances = 20*time.Second, 2
	}), explain.Options{})
	r.Acquire("a", "b", "c")
	r.Run(10 * time.Second)
	r.Restart(5 * time.Second)
	r.Ask(scaler.EvReattach, "a")
	r.Run(30 * time.Second)
	r.Release("a")
	r.Ask(scaler.EvAcquire, "a")
	r.Run(15 * time.Second)
	return r
}

// drains: an operator drains and ends the drain; then the manager is stopped.
func drains(t *testing.T) *explaintest.Rig {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleCount: 1, IdleTime: time.Minute}), explain.Options{})
	r.Acquire("a")
	r.Run(10 * time.Second)
	r.Do(scaler.Event{Kind: scaler.EvDrain, On: true})
	r.Acquire("late")
	r.Run(5 * time.Second)
	r.Do(scaler.Event{Kind: scaler.EvDrain})
	cfg := r.Config
	cfg.MaxInstances = 3
	r.Do(scaler.Event{Kind: scaler.EvReload, Config: &cfg})
	r.Run(10 * time.Second)
	r.Do(scaler.Event{Kind: scaler.EvShutdown, On: true})
	r.Run(5 * time.Second)
	r.Do(scaler.Event{Kind: scaler.EvRevokeAll, Cause: record.CauseShutdown})
	r.Run(5 * time.Second)
	return r
}

// foreign: instances appear that nobody requested.
func foreign(t *testing.T) *explaintest.Rig {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleTime: time.Minute}), explain.Options{})
	for _, id := range []record.ID{"x-1", "x-2", "x-3"} {
		r.Cloud[id] = &explaintest.Machine{}
		r.Run(2 * time.Second)
	}
	r.Acquire("a")
	r.Run(20 * time.Second)
	return r
}

// neverCame: the provider accepts the create of three instances, but one never appears.
func neverCame(t *testing.T) *explaintest.Rig {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleTime: time.Minute}, func(c *scaler.Config) { c.RequestedDeadline = 20 * time.Second }),
		explain.Options{})
	r.Answer = func(cmd scaler.Command, _ *scaler.Event) int { return cmd.Count - 1 }
	r.Acquire("a", "b", "c")
	r.Run(40 * time.Second)
	return r
}

// listsFail: the provider's list fails.
func listsFail(t *testing.T) *explaintest.Rig {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleTime: time.Minute}), explain.Options{})
	r.Every = 0
	for range 3 {
		r.Do(scaler.Event{Kind: scaler.EvListFailed, Failure: failure.Failure{Kind: failure.Transient, Message: "connection refused"}})
		r.Run(10 * time.Second)
	}
	return r
}

// alarm: the provider always refuses a delete.
func alarm(t *testing.T) *explaintest.Rig {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleTime: time.Minute}, func(c *scaler.Config) { c.DeletingAlarm = 150 * time.Second }),
		explain.Options{})
	r.Answer = func(cmd scaler.Command, ev *scaler.Event) int {
		if cmd.Kind == scaler.CmdDelete {
			ev.Failure = failure.Failure{Kind: failure.Config, Message: "permission denied"}
		}
		return cmd.Count
	}
	r.Acquire("a")
	r.Run(10 * time.Second)
	r.Release("a")
	r.Run(5 * time.Minute)
	return r
}

// adopt: an unclaimed instance is adopted after a reload.
func adopt(t *testing.T) *explaintest.Rig {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleTime: time.Minute}), explain.Options{})
	r.Cloud["x-1"] = &explaintest.Machine{}
	r.Run(5 * time.Second)
	cfg := r.Config
	cfg.Adopt = scaler.AdoptAll
	r.Do(scaler.Event{Kind: scaler.EvReload, Config: &cfg})
	r.Run(5 * time.Second)
	r.Acquire("a")
	return r
}

func TestAnswers(t *testing.T) {
	kinds := map[explain.Kind]bool{}
	for _, s := range scripts {
		t.Run(s.name, func(t *testing.T) {
			r := s.play(t)
			questions := map[string]explain.Question{"now": {}}
			for name, q := range s.questions {
				questions[name] = q
			}
			for name, q := range questions {
				q.Location, q.Now, q.Last = seoul, r.Now.Wall, 30
				d, err := explain.Answer(q, r.Feed)
				if err != nil {
					t.Fatal(err)
				}
				for _, rec := range d.Decisions {
					kinds[rec.Kind] = true
				}
				golden(t, s.name+"."+name, d)
			}
		})
	}
	for _, k := range []explain.Kind{
		explain.KindCreate, explain.KindHold, explain.KindBackoff, explain.KindBreaker, explain.KindDelete, explain.KindRevoke, explain.KindDeny,
		explain.KindLost, explain.KindReturned, explain.KindPolicy, explain.KindReload, explain.KindPause, explain.KindUnclaimed, explain.KindList,
		explain.KindOperator, explain.KindStart, explain.KindAlarm, explain.KindAdopt,
	} {
		if !kinds[k] {
			t.Errorf("no script has a record of kind %s", k)
		}
	}
}

// TestLeaseOverARestart: a lease that its caller has taken up again after a restart is held since it was granted.
func TestLeaseOverARestart(t *testing.T) {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleTime: time.Minute}, func(c *scaler.Config) { c.ReattachAfterRestart = 20 * time.Second }),
		explain.Options{})
	r.Acquire("a")
	r.Run(10 * time.Second)
	before := r.Now.Wall
	r.Restart(5 * time.Second)
	r.Ask(scaler.EvReattach, "a")
	r.Run(30 * time.Second)
	r.Cloud["i-1"].Away = true
	r.Run(time.Minute)
	d, err := explain.Answer(explain.Question{Now: r.Now.Wall, Last: 30, Location: time.UTC}, r.Feed)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := d.Text(&text); err != nil {
		t.Fatal(err)
	}
	_, since, ok := strings.Cut(text.String(), `"a" held it since `)
	if !ok || since[:8] >= before.UTC().Format(time.TimeOnly) {
		t.Errorf("the restart was at %s; told:\n%s", before.UTC().Format(time.TimeOnly), text.String())
	}
}

// golden compares both forms of d with the golden files.
func golden(t *testing.T, name string, d *explain.Document) {
	t.Helper()
	var text bytes.Buffer
	if err := d.Text(&text); err != nil {
		t.Fatal(err)
	}
	doc, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for ext, got := range map[string][]byte{".txt": text.Bytes(), ".json": append(doc, '\n')} {
		path := filepath.Join("testdata", name+ext)
		if ext == ".json" && !strings.HasPrefix(name, "office-hours") { // all JSON fields are in these
			continue
		}
		if *update {
			if err := os.WriteFile(path, got, 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: run the test with -update and read the difference. Got\n%s", path, got)
		}
	}
}

func TestAnswerErrors(t *testing.T) {
	r := maxInstances(t)
	for _, c := range []struct {
		q    explain.Question
		want string
	}{
		{explain.Question{Instance: "i-99"}, `contains no instance "i-99"`},
		{explain.Question{Key: "nobody"}, `contains no key "nobody"`},
		{explain.Question{At: explaintest.Start.Add(-time.Hour)}, "is outside the journal: ask for a time from 2026-03-02 12:00:00 to 2026-03-02 12:00:30"},
		{explain.Question{At: explaintest.Start.Add(time.Hour)}, "is outside the journal"},
		{explain.Question{At: explaintest.Start.Add(2 * time.Hour), Running: true, Now: explaintest.Start.Add(time.Hour)}, "is outside the journal"},
	} {
		if _, err := explain.Answer(c.q, r.Feed); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.q, err, c.want)
		}
	}
	if d, err := explain.Answer(explain.Question{At: explaintest.Start.Add(time.Minute), Running: true, Now: explaintest.Start.Add(time.Hour)}, r.Feed); err != nil ||
		d.State == nil {
		t.Errorf("a moment after the last round of a manager that runs: %v", err)
	}
	if _, err := explain.Answer(explain.Question{}, func(time.Time, *explain.History) ([]string, error) { return nil, nil }); err == nil {
		t.Error("an empty journal is explained")
	}
	broken := errors.New("broken")
	if _, err := explain.Answer(explain.Question{}, func(time.Time, *explain.History) ([]string, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// TestGaveUpInFront: the first caller in the queue waits for the instance that is booting, even if something holds back creates for the callers
// behind it. A caller that stops waiting is told this. The release that it sends in case it got a lease is not shown as a released slot.
func TestGaveUpInFront(t *testing.T) {
	for key, want := range map[string]string{
		"front":  "at the end it was waiting for an instance to boot",
		"behind": "at the end it was waiting for another job to release its slot, because max_instances",
		"": "at the end callers were waiting: the first 1 of 2 for an instance to boot, the others for another job to release its slot, because " +
			"max_instances",
	} {
		r := explaintest.New(t, explaintest.Config(policy.Settings{IdleTime: time.Minute}, func(c *scaler.Config) { c.MaxInstances = 1 }), explain.Options{})
		r.Boot = time.Minute
		r.Do(scaler.Event{Kind: scaler.EvAcquire, Key: "front", Ticket: 1001}, scaler.Event{Kind: scaler.EvAcquire, Key: "behind", Ticket: 1002})
		r.Run(20 * time.Second)
		gone := map[string]scaler.Event{
			"front": {Kind: scaler.EvCancel, Key: "front", Ticket: 1001}, "behind": {Kind: scaler.EvCancel, Key: "behind", Ticket: 1002},
		}
		if key != "" {
			r.Do(gone[key])
			r.Do(scaler.Event{Kind: scaler.EvRelease, Key: record.Key(key), Ticket: 1003})
		} else {
			r.Do(gone["behind"])
		}
		d, err := explain.Answer(explain.Question{Key: key, Last: 20, Now: r.Now.Wall}, r.Feed)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if err := d.Text(&text); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text.String(), want) || strings.Contains(text.String(), "released its slot") ||
			key != "" && !strings.Contains(text.String(), "asked to release its lease, if it had one") {
			t.Errorf("%s: %q is not in\n%s", key, want, text.String())
		}
	}
}

// TestIdleButNotListed: an instance that is not in the latest list is not supply, so no sum may count it.
func TestIdleButNotListed(t *testing.T) {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleCount: 1, IdleTime: time.Minute}), explain.Options{})
	r.Run(20 * time.Second)
	r.Cloud["i-1"].Away = true
	r.Run(time.Second)
	st := r.History.State()
	if len(st.Idle) != 1 || !strings.Contains(st.Idle[0].Sentence, "it is absent, so it gets no lease") || !strings.Contains(st.Sentence, "1 ready (0 of them idle)") {
		t.Errorf("%s\n%+v", st.Sentence, st.Idle)
	}
}
