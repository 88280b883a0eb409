package scaler

import (
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// refuseDeletes makes every delete fail with f while *on is true.
func refuseDeletes(r *rig, on *bool, f failure.Failure) {
	r.fail = func(cmd Command) (failure.Failure, bool) {
		if cmd.Kind == CmdDelete && *on {
			return f, false
		}
		return failure.Failure{}, false
	}
}

// deleted lets one instance serve a job and removes it when it is idle. It returns the serial number that the instance had.
func (r *rig) deleted(key record.Key) (serial uint64) {
	r.t.Helper()
	r.acquire(key)
	r.run(10 * sec)
	serial = r.last(key).Serial
	r.release(key)
	r.run(2 * time.Minute)
	r.want("after idle_time", r.state("i-1"), record.Gone)
	return serial
}

// TestShutdownCountsItsOwnTries: a shutdown sends shutdown_deletion_retries deletes for each instance, however often its delete failed
// before, and whether or not one was under way when the shutdown began.
func TestShutdownCountsItsOwnTries(t *testing.T) {
	for _, underWay := range []bool{false, true} {
		for _, helps := range []bool{false, true} {
			r := standing(t, 1, func(c *Config) {
				c.MaxInstances, c.ShutdownDeletionRetries, c.ShutdownDeletionRetry = 1, 3, 10*sec
			})
			refused := true
			refuseDeletes(r, &refused, failure.Failure{Kind: failure.Transient})
			r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy})
			r.run(5 * time.Minute)
			r.hold[CmdDelete] = underWay
			r.run(time.Minute)
			r.hold[CmdDelete] = false
			sent := len(r.commandsOf(CmdDelete))
			if sent < 5 {
				t.Fatalf("%d deletes were sent before the shutdown", sent)
			}
			r.do(Event{Kind: EvShutdown, On: true})
			for _, cmd := range r.held {
				r.do(Event{Kind: EvDeleted, Op: cmd.Op, ID: cmd.ID, Serial: cmd.Serial, Failure: failure.Failure{Kind: failure.Transient}})
			}
			left := 20 * sec // two more tries
			if underWay {
				left += 10 * sec
			}
			r.run(left - sec)
			r.want("done while a try is left", r.bt.Done, false)
			refused = !helps
			r.run(2 * sec)
			r.want("done, sent by the shutdown", [2]any{r.bt.Done, len(r.commandsOf(CmdDelete)) - sent}, [2]any{!helps, 3})
			if helps {
				r.run(2 * sec)
				r.want("the last try helped", [3]any{r.bt.Done, len(r.cloud), r.state("i-1")}, [3]any{true, 0, record.Gone})
			}
		}
	}
}

// TestAlarmForEachDelete: an instance that is listed again after its delete is deleted again. When that does not help either, it raises
// another alarm.
func TestAlarmForEachDelete(t *testing.T) {
	r := newRig(t, conf())
	r.every = 10 * sec
	refused := true
	refuseDeletes(r, &refused, failure.Failure{Kind: failure.Transient})
	r.acquire("a")
	r.run(20 * sec)
	r.release("a")
	for n := range 2 {
		r.run(50 * time.Minute)
		r.want("before the alarm", [2]any{r.state("i-1"), len(r.factsOf(FactAlarm))}, [2]any{record.Deleting, n})
		r.run(20 * time.Minute)
		r.want("alarms", len(r.factsOf(FactAlarm)), n+1)
		delete(r.cloud, "i-1")
		r.run(time.Minute)
		r.want("no longer listed", r.state("i-1"), record.Gone)
		r.spawn("i-1")
	}
}

// TestDeletedAreForgottenAfterARestart: the record of a deleted or lost instance goes after ForgetAfter, also when the manager was restarted
// meanwhile, so that the store does not grow with each restart.
func TestDeletedAreForgottenAfterARestart(t *testing.T) {
	for _, away := range []time.Duration{time.Minute, 3 * time.Hour} {
		r := newRig(t, conf())
		r.deleted("a")
		r.every = 10 * sec
		r.acquire("b")
		r.run(20 * sec)
		delete(r.cloud, "i-2")
		r.run(time.Minute)
		r.want("lost", r.state("i-2"), record.Lost)
		r.restart(away)
		r.want("remembered at first", len(r.saved.Instances), 2)
		r.run(time.Hour + restartGrace)
		r.want("records", len(r.saved.Instances), 0)
	}
}

// TestLateWordOfANamesake: what is reported about a deleted instance does not concern a new instance with the same ID.
func TestLateWordOfANamesake(t *testing.T) {
	r := newRig(t, conf())
	old := r.deleted("a")
	r.answer = func(Command, *Event) int { r.spawn("i-1"); return 0 }
	r.acquire("b")
	r.run(10 * sec)
	r.want("the new one serves", r.leaseOf("b"), "i-1/0")
	serial := r.last("b").Serial
	r.want("it has another serial number", serial > old, true)
	tell := func(serial uint64) {
		r.do(Event{Kind: EvUnhealthy, ID: "i-1", Serial: serial, Cause: record.CauseUnhealthy})
	}
	tell(old)
	tell(serial + 1)
	r.want("after a report about another one", [2]any{r.leaseOf("b"), r.state("i-1")}, [2]any{"i-1/0", record.Ready})
	tell(serial)
	r.want("after a report about itself", [2]any{r.leaseOf("b"), r.state("i-1")}, [2]any{"", record.Deleting})
}

// TestDeletedIsShownAgain: a provider lists a removed instance as deleted for a while, omits it once, and then shows it as running, as a
// list that is out of date does. It is not taken for the new instance that a create expects.
func TestDeletedIsShownAgain(t *testing.T) {
	r := newRig(t, conf())
	r.deleted("a")
	old := r.spawn("i-1")
	old.word = fleet.ListedDeleted
	r.run(10 * sec)
	r.answer = func(Command, *Event) int { return 0 } // accepted, and not listed yet
	r.acquire("b")
	old.away = true
	r.list()
	old.away, old.word, old.boots = false, 0, 0
	r.list()
	r.want("it is deleted again", [2]any{r.state("i-1"), r.leaseOf("b")}, [2]any{record.Deleting, ""})
	r.want("prepared", len(r.commandsOf(CmdPrepare)), 1)
}

// TestNoDeleteOfWhatIsGone: a delete is repeated in the batch in which a list shows that the instance is gone, or that its name belongs to
// another one. The delete is not sent: it would hit the new instance.
func TestNoDeleteOfWhatIsGone(t *testing.T) {
	missing := Event{Kind: EvMissing, ID: "i-1"}
	boots := Event{Kind: EvChanged, ID: "i-1", Listed: fleet.ListedCreating}
	for _, c := range []struct {
		list   Event
		serial uint64
		count  int // instances that the batch asks for: for the jobs without one
	}{{missing, 1, 2}, {boots, 2, 1}} {
		r := newRig(t, conf(func(c *Config) { c.MaxUses, c.DeletionRetry = 1, time.Minute }))
		r.deleteOf("i-1")
		r.answer = func(Command, *Event) int { return 0 }
		if c.list == boots {
			r.acquire("a")
		}
		r.every, r.listAt = 0, 1<<62
		sent := len(r.facts)
		r.now.Mono += time.Minute
		evs := []Event{{Kind: EvWake}, {Kind: EvAcquire, Key: "b", Ticket: 1}, c.list, {Kind: EvListed, Since: r.now.Mono}}
		if c.list == missing {
			evs = append(evs, Event{Kind: EvAcquire, Key: "c", Ticket: 2})
		}
		b := r.do(evs...)
		r.want("commands", len(b.Commands), 1)
		r.want("command", [2]any{b.Commands[0].Kind, b.Commands[0].Count}, [2]any{CmdIncrease, c.count})
		for _, f := range r.facts[sent:] {
			if f.Kind == FactDelete {
				t.Errorf("told of a delete that was not sent: %+v", f)
			}
		}
		r.want("serial", r.core.reg.Get("i-1").Serial, c.serial)
	}
}

// deleteOf lets an instance serve its only job, and leaves it while its delete is accepted and has not taken effect.
func (r *rig) deleteOf(id record.ID) {
	r.t.Helper()
	r.dying = time.Hour
	r.acquire("first")
	r.run(10 * sec)
	r.release("first")
	r.list()
	r.want("deleting", r.state(id), record.Deleting)
}

// TestDeleteOfAZombieIsNotAccepted: the answer to an earlier delete says nothing about the delete of an instance that is listed again. One
// list that lacks it proves nothing.
func TestDeleteOfAZombieIsNotAccepted(t *testing.T) {
	r := newRig(t, conf())
	r.deleted("a")
	refused := true
	refuseDeletes(r, &refused, failure.Failure{Kind: failure.Transient})
	r.spawn("i-1")
	r.run(10 * sec)
	r.want("listed again", r.state("i-1"), record.Deleting)
	r.cloud["i-1"].away = true
	r.list()
	r.want("one list lacks it", r.state("i-1"), record.Deleting)
}
