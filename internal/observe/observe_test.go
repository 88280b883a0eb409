package observe

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

func TestSentences(t *testing.T) {
	decision := policy.Decision{Needed: 17, Leases: 9, Waiters: 4, IdleTarget: 4, Supply: 14, Missing: 3,
		Wanted: 3, PerInstance: 1, Room: -1, Allowed: -1, Grow: 3}
	quota := failure.Failure{Kind: failure.Quota, Message: "no more vCPUs"}
	for _, tc := range []struct {
		fact scaler.Fact
		want string
	}{
		{scaler.Fact{Kind: scaler.FactCreate, Count: 3, Decision: decision},
			"asked the provider for 3 instances: needed 17 = leased 9 + waiting 4 + idle target 4 (policy 1); supply 14"},
		{scaler.Fact{Kind: scaler.FactAppeared, ID: "i-1"}, "instance i-1 appeared"},
		{scaler.Fact{Kind: scaler.FactFruitless, ID: "i-1", On: true, Count: 3, Cause: record.CauseMissing, Took: 5 * time.Second},
			"early failure of instance i-1 (3 in a row): the provider no longer lists it; the next create in 5s"},
		{scaler.Fact{Kind: scaler.FactFruitless, On: true, Count: 1, Cause: record.CauseBootOverdue, Took: 5 * time.Second},
			"an instance did not appear in time, although the provider accepted the create (1 in a row); the next create in 5s"},
		{scaler.Fact{Kind: scaler.FactFruitless, Count: 2, Cause: record.CauseBootOverdue, Took: 5 * time.Second},
			"an instance did not appear in time; the provider did not confirm the create (2 in a row); the next create in 5s"},
		{scaler.Fact{Kind: scaler.FactRetire, ID: "i-1", Cause: record.CauseUnhealthy}, "instance i-1 is retired: it is unhealthy"},
		{scaler.Fact{Kind: scaler.FactRetire, ID: "i-1", Cause: record.CauseUnhealthy, By: scaler.EvBeat, Failure: quota},
			`instance i-1 is retired: it is unhealthy: at least failure_threshold heartbeats failed in a row ("no more vCPUs")`},
		{scaler.Fact{Kind: scaler.FactRetire, ID: "i-1", Cause: record.CauseUnhealthy, By: scaler.EvBeat, Failure: failure.Failure{Kind: failure.Unhealthy, Message: "on fire"}},
			`instance i-1 is retired: it is unhealthy: the provider said so in its heartbeat ("on fire")`},
		{scaler.Fact{Kind: scaler.FactRetire, ID: "i-1", Cause: record.CauseUnhealthy, By: scaler.EvUnhealthy, Failure: quota},
			`instance i-1 is retired: it is unhealthy: the provider could not say how to reach it ("no more vCPUs")`},
		{scaler.Fact{Kind: scaler.FactRetire, ID: "i-1", Cause: record.CauseUnhealthy, By: scaler.EvChanged},
			"instance i-1 is retired: it is unhealthy: the provider listed it as not running for instance_deadlines.creating"},
		{scaler.Fact{Kind: scaler.FactRevoke, ID: "i-1", Key: "job", Cause: record.CauseUnhealthy, By: scaler.EvRelease, Failure: quota},
			`revoked the lease of "job" on instance i-1: the instance cannot be used any more: it is unhealthy: a caller reported it ("no more vCPUs")`},
		{scaler.Fact{Kind: scaler.FactRetire, ID: "i-1", Cause: record.CauseChangedHostKey, By: scaler.EvUnhealthy},
			"instance i-1 is retired: its host key differs from the recorded one"},
		{scaler.Fact{Kind: scaler.FactAlarm, ID: "i-1", On: true, Took: time.Hour},
			"instance i-1 is not gone 1h0m0s after its delete, which the provider accepted: no complete list since then was without it; " +
				"the manager keeps trying: check the instance in the provider's console"},
		{scaler.Fact{Kind: scaler.FactBreaker, On: true, Count: 3, Took: 5 * time.Second},
			"the runaway breaker opens: 3 instances in a row failed; one instance at a time is created until one works, the next in 5s"},
		{scaler.Fact{Kind: scaler.FactBreaker, ID: "i-4"}, "the runaway breaker closes: instance i-4 works"},
		{scaler.Fact{Kind: scaler.FactHold, Count: 3, Cause: record.CauseThrottle, Decision: decision},
			"held back 3 creates, because scale_throttle allows no more creates at the moment: needed 17 = leased 9 + waiting 4 + idle target 4 (policy 1); supply 14"},
		{scaler.Fact{Kind: scaler.FactAppeared, ID: "i-1", Cause: record.CausePreexisting},
			"instance i-1 appeared, but is not used: it was found at the start, and the state has no record of it"},
		{scaler.Fact{Kind: scaler.FactReady, ID: "i-1", Took: 83*time.Second + 400*time.Millisecond}, "instance i-1 is ready, 1m23s after it was first listed"},
		{scaler.Fact{Kind: scaler.FactRetire, ID: "i-1", Cause: record.CauseUsedUp}, "instance i-1 is retired: it has served max_use_count leases"},
		{scaler.Fact{Kind: scaler.FactRetire, ID: "i-1", Cause: record.CauseIdle, Took: 2 * time.Minute, Peak: 3, Left: 4},
			"instance i-1 is retired: it was idle for idle_time, and the policy needs fewer instances " +
				"(idle for 2m0s; at most 3 slots needed in that time; supply without it 4)"},
		{scaler.Fact{Kind: scaler.FactDelete, ID: "i-1", Count: 1}, "asked the provider to delete instance i-1"},
		{scaler.Fact{Kind: scaler.FactDelete, ID: "i-1", Count: 3}, "asked the provider to delete instance i-1, for the 3rd time"},
		{scaler.Fact{Kind: scaler.FactGone, ID: "i-1", Took: 1234 * time.Millisecond}, "instance i-1 is deleted; it existed for 1.23s"},
		{scaler.Fact{Kind: scaler.FactLost, ID: "i-1", Cause: record.CauseMissing}, "instance i-1 is lost: the provider no longer lists it"},
		{scaler.Fact{Kind: scaler.FactReturned, ID: "i-1"}, "instance i-1 is listed again"},
		{scaler.Fact{Kind: scaler.FactRevoke, ID: "i-1", Key: "job", Cause: record.CauseMissing},
			`revoked the lease of "job" on instance i-1: the instance is gone: the provider no longer lists it`},
		{scaler.Fact{Kind: scaler.FactRevoke, ID: "i-1", Key: "job", Cause: record.CauseAbandoned},
			`revoked the lease of "job" on instance i-1: its caller did not come back in time`},
		{scaler.Fact{Kind: scaler.FactDeny, Key: "job", Cause: record.CauseDraining}, `refused "job": the manager is draining`},
		{scaler.Fact{Kind: scaler.FactWait}, "no job is waiting any more"},
		{scaler.Fact{Kind: scaler.FactWait, Count: 2, Booting: 2, Cause: record.CauseBoot}, "2 jobs are waiting for instances to boot"},
		{scaler.Fact{Kind: scaler.FactWait, Count: 1, Cause: record.CauseStockOut}, "1 job is waiting because the provider has no capacity left"},
		{scaler.Fact{Kind: scaler.FactWait, Count: 1, Booting: 1, Cause: record.CauseBoot}, "1 job is waiting for an instance to boot"},
		{scaler.Fact{Kind: scaler.FactWait, Count: 5, Booting: 2, Cause: record.CauseThrottle},
			"5 jobs are waiting: 2 for instances to boot, 3 because scale_throttle allows no more creates at the moment"},
		{scaler.Fact{Kind: scaler.FactPolicy, Count: 1}, "policy 2 applies now"},
		{scaler.Fact{Kind: scaler.FactPolicy, Count: -1}, "no policy applies now: no slot is kept idle"},
		{scaler.Fact{Kind: scaler.FactRefused, Failure: quota, Took: 10 * time.Second}, "a create failed (quota): no more vCPUs; the next create in 10s"},
		{scaler.Fact{Kind: scaler.FactFruitless, ID: "i-1", Count: 2, Cause: record.CauseBootOverdue, Took: 40 * time.Second},
			"the boot of instance i-1 failed (2 in a row): it did not run within instance_deadlines.creating; the next create in 40s"},
		{scaler.Fact{Kind: scaler.FactListFailed, Failure: quota, Count: 4}, "listing the instances failed (quota, 4 in a row): no more vCPUs"},
		{scaler.Fact{Kind: scaler.FactListed, Count: 1}, "listing the instances works again, after 1 failure in a row"},
		{scaler.Fact{Kind: scaler.FactListed, Count: 40}, "listing the instances works again, after 40 failures in a row"},
		{scaler.Fact{Kind: scaler.FactWait, Count: 2, Booting: 2, Cause: record.CauseLists},
			"2 jobs are waiting because listing the instances fails, so an instance that boots cannot be seen"},
		{scaler.Fact{Kind: scaler.FactUnclaimed, ID: "i-1"},
			"instance i-1 is unclaimed: the state has no record of it; it counts towards max_instances, but is neither used nor deleted: " +
				"set adopt_preexisting to adopt or remove it"},
		{scaler.Fact{Kind: scaler.FactUnclaimed, Count: 97},
			"97 more instances are unclaimed: the state has no record of them; they count towards max_instances, but are neither used nor deleted: " +
				"set adopt_preexisting to adopt or remove them"},
		{scaler.Fact{Kind: scaler.FactAlarm, ID: "i-1", Took: time.Hour},
			"instance i-1 could not be deleted for 1h0m0s; the manager keeps trying: check the instance in the provider's console"},
		{scaler.Fact{Kind: scaler.FactForeign, On: true},
			"instances appear that this manager did not ask for, so another manager seems to use this group; creates are paused, and so are " +
				"deletes of instances that this manager did not create: stop the other manager, or give it another group"},
		{scaler.Fact{Kind: scaler.FactForeign}, "no more instances appear that this manager did not ask for: the pause of creates and deletes ends"},
		{scaler.Fact{Kind: scaler.FactAdopt, ID: "i-1"}, "instance i-1 is adopted"},
		{scaler.Fact{Kind: scaler.FactReload}, "the configuration was reloaded"},
		{scaler.Fact{Kind: scaler.FactIntent, Count: 1, Cause: record.CauseBootOverdue, On: true},
			"1 instance did not appear within instance_deadlines.requested, although the provider accepted the create"},
		{scaler.Fact{Kind: scaler.FactIntent, Count: 1, Cause: record.CauseZombie},
			"no longer waiting for 1 instance: an instance appeared under the name of an earlier one, and it may be the one that was requested"},
		{scaler.Fact{Kind: scaler.FactIntent, Count: 1, Cause: record.CauseBootOverdue},
			"1 instance did not appear within instance_deadlines.requested; the provider did not confirm the create"},
		{scaler.Fact{Kind: scaler.FactUnreachable, ID: "i-1", On: true, Failure: quota},
			"instance i-1 gets no new job: the provider cannot say how to reach it: no more vCPUs"},
		{scaler.Fact{Kind: scaler.FactUnreachable, ID: "i-1"}, "instance i-1 gets jobs again: the provider says how to reach it"},
		{scaler.Fact{Kind: scaler.FactPrepare, ID: "i-1", Failure: quota}, "preparing instance i-1 failed: no more vCPUs"},
	} {
		if got := Sentence(&tc.fact); got != tc.want {
			t.Errorf("%s:\n got %q\nwant %q", tc.fact.Kind, got, tc.want)
		}
	}
}

// TestEveryKindHasASentence fails when a new kind of fact has no sentence.
func TestEveryKindHasASentence(t *testing.T) {
	for k := scaler.FactCreate; k.String() != "invalid"; k++ {
		f := scaler.Fact{Kind: k, ID: "i-1", Key: "job"}
		if got := Sentence(&f); got == k.String() {
			t.Errorf("fact %s has no sentence", k)
		}
	}
	if f := (scaler.Fact{Kind: 200}); Sentence(&f) != "invalid" {
		t.Errorf("an unknown fact: %q", Sentence(&f))
	}
}

func TestEveryCauseHasWords(t *testing.T) {
	n := 0
	for c := record.CauseNone; c.String() != "unknown"; c++ {
		if p := phrasesOf(c); p.wait == "" || p.retire == "" || strings.Contains(p.wait, "this version does not know") {
			t.Errorf("cause %s has no words", c)
		}
		if p := phrasesOf(c); strings.Contains(p.wait, ":") { // it stands in sentences that have a colon already
			t.Errorf("the wait for %s has a colon: %s", c, p.wait)
		}
		for name, text := range map[string]string{"Wait": Wait(c), "Retire": Retire(c), "Revoke": Revoke(c), "Denial": Denial(c)} {
			if text == "" || strings.HasSuffix(text, ".") {
				t.Errorf("%s(%s) = %q", name, c, text)
			}
		}
		n++
	}
	if n < 30 {
		t.Errorf("only %d causes were looked at", n)
	}
	if !strings.Contains(Wait(250), "does not know") {
		t.Errorf("an unknown cause: %q", Wait(250))
	}
}

func TestTee(t *testing.T) {
	var got []string
	note := func(name string) Observer {
		return Observer{
			Events: func(_ scaler.Time, evs []scaler.Event) { got = append(got, fmt.Sprint(name, " events ", len(evs))) },
			Batch:  func(*scaler.Batch) { got = append(got, name+" batch") },
			Fact:   func(f *scaler.Fact) { got = append(got, name+" "+f.Kind.String()) },
			Commit: func(err error, n int) { got = append(got, fmt.Sprint(name, " ", err, " ", n)) },
		}
	}
	only := Observer{Fact: func(f *scaler.Fact) { got = append(got, "only "+f.Kind.String()) }}
	o := Tee(note("a"), only, Observer{}, note("b"))
	o.Events(scaler.Time{}, make([]scaler.Event, 2))
	o.Batch(&scaler.Batch{})
	o.Fact(&scaler.Fact{Kind: scaler.FactReady})
	o.Commit(errors.New("full"), 3)
	want := "a events 2, b events 2, a batch, b batch, a ready, only ready, b ready, a full 3, b full 3"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("%s\nwant %s", text, want)
	}
	if o := Tee(only, Observer{}); o.Events != nil || o.Batch != nil || o.Commit != nil || o.Fact == nil {
		t.Error("a callback that nobody has is not nil")
	}
}

func TestLog(t *testing.T) {
	var buf bytes.Buffer
	o := Log(slog.New(slog.NewTextHandler(&buf, nil)))
	o.Fact(&scaler.Fact{Kind: scaler.FactRevoke, ID: "i-1", Key: "job", Cause: record.CauseMissing})
	o.Fact(&scaler.Fact{Kind: scaler.FactDeny, Key: "job", Cause: record.CauseNoCapacity}) // debug: not in this log
	o.Fact(&scaler.Fact{Kind: scaler.FactRefused, Failure: failure.Failure{Kind: failure.Quota, Message: "full"}, Took: time.Second})
	o.Fact(&scaler.Fact{Kind: scaler.FactAlarm, ID: "i-1", Count: 2})
	o.Fact(&scaler.Fact{Kind: scaler.FactForeign, On: true})
	o.Commit(errors.New("disk full"), 2)
	o.Commit(nil, 2)
	lines := strings.Split(strings.TrimSpace(buf.String()), "\n")
	want := []string{
		"level=WARN fact=revoke instance=i-1 key=job cause=missing", "level=WARN fact=refused failure=quota took=1s", "level=ERROR fact=alarm count=2",
		"level=ERROR fact=foreign", `level=ERROR error="disk full" failures=2`, "level=INFO failures=2",
	}
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), buf.String())
	}
	for i, parts := range want {
		for part := range strings.FieldsSeq(strings.ReplaceAll(parts, "disk full", "disk\u00a0full")) {
			if part = strings.ReplaceAll(part, "\u00a0", " "); !strings.Contains(lines[i], part) {
				t.Errorf("line %d lacks %s: %s", i, part, lines[i])
			}
		}
	}
}

// Whatever the provider and the callers wrote, a fact is one bounded line, in words and in the log.
func TestFactOfAnyBytesIsOneLine(t *testing.T) {
	const forged = "x\nlevel=ERROR msg=forged\x1b[2J\xff\u202e"
	long := strings.Repeat(forged, 1000)
	for kind := scaler.FactKind(0); kind < 60; kind++ {
		f := &scaler.Fact{Kind: kind, ID: record.ID(long), Key: record.Key(long), Cause: record.CauseUnhealthy, Failure: failure.Failure{Kind: failure.Transient, Message: long}}
		if s := Sentence(f); len(s) > 2<<10 || strings.ContainsAny(s, "\n\x1b\u202e") || !utf8.ValidString(s) {
			t.Errorf("%v reads %.300q", kind, s)
		}
		var out bytes.Buffer
		o := Log(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
		o.Fact(f)
		if got := out.String(); strings.Count(got, "\n") != 1 || len(got) > 8<<10 {
			t.Errorf("%v is logged as %.300q", kind, got)
		}
	}
}
