package observe

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Sentence says f for people, in one line.
func Sentence(f *scaler.Fact) string {
	switch f.Kind {
	case scaler.FactCreate:
		return fmt.Sprintf("created %d: %s", f.Count, Sizing(&f.Decision, PolicyName(f.Policy, nil), 0))
	case scaler.FactWait:
		return Waiting(f.Count, f.Booting, f.Cause)
	case scaler.FactPolicy:
		if f.Count < 0 {
			return "no policy matches now: nothing is kept idle"
		}
		return fmt.Sprintf("policy %d holds now", f.Count+1)
	case scaler.FactDeny:
		return fmt.Sprintf("refused %q: %s", f.Key, Denial(f.Cause))
	case scaler.FactRevoke:
		return fmt.Sprintf("revoked the lease of %q on instance %s: %s", f.Key, f.ID, Revoke(f.Cause))
	case scaler.FactRefused:
		return fmt.Sprintf("a create failed (%s): %s; the next one in %s", f.Failure.Kind, f.Failure.Message, span(f.Took))
	case scaler.FactListFailed:
		return fmt.Sprintf("the provider's list failed (%s, %d in a row): %s", f.Failure.Kind, f.Count, f.Failure.Message)
	case scaler.FactForeign:
		if f.On {
			return "instances come or go that nobody asked for: another manager seems to work on this group; creates and deletes are paused"
		}
		return "no more instances come or go unasked: creates and deletes go on"
	case scaler.FactReload:
		return "a new configuration holds"
	case scaler.FactHold:
		return fmt.Sprintf("held back %d, because %s: %s", f.Count, Retire(f.Cause), Sizing(&f.Decision, PolicyName(f.Policy, nil), 0))
	case scaler.FactBreaker:
		if f.On {
			return fmt.Sprintf("the runaway breaker opens: %d machines in a row came to nothing; one at a time is tried until one works, the next in %s",
				f.Count, span(f.Took))
		}
		return fmt.Sprintf("the runaway breaker closes: instance %s works", f.ID)
	case scaler.FactIntent:
		if f.Cause == record.CauseBootOverdue {
			return fmt.Sprintf("%s that the provider accepted did not appear within instance_deadlines.requested", count(f.Count, "instance"))
		}
		return fmt.Sprintf("%s that had been asked for will not come: complete lists came without them", count(f.Count, "instance"))
	}
	return instanceSentence(f)
}

// instanceSentence is Sentence for the facts about one instance.
func instanceSentence(f *scaler.Fact) string {
	switch f.Kind {
	case scaler.FactAppeared:
		if f.Cause != record.CauseNone {
			return fmt.Sprintf("instance %s appeared and is not used: %s", f.ID, Retire(f.Cause))
		}
		return fmt.Sprintf("instance %s appeared", f.ID)
	case scaler.FactReady:
		return fmt.Sprintf("instance %s is ready, %s after it was first seen", f.ID, span(f.Took))
	case scaler.FactRetire:
		if f.Cause == record.CauseIdle {
			return fmt.Sprintf("instance %s is retired: %s (idle for %s, needed at most %d in that time, supply without it %d)", f.ID, Retire(f.Cause),
				span(f.Took), f.Peak, f.Left)
		}
		return fmt.Sprintf("instance %s is retired: %s", f.ID, Retire(f.Cause))
	case scaler.FactDelete:
		if f.Count > 1 {
			return fmt.Sprintf("asked to delete instance %s, for the %s time", f.ID, ordinal(f.Count))
		}
		return fmt.Sprintf("asked to delete instance %s", f.ID)
	case scaler.FactGone:
		return fmt.Sprintf("instance %s is deleted, after a life of %s", f.ID, span(f.Took))
	case scaler.FactLost:
		return fmt.Sprintf("instance %s is lost: %s", f.ID, Retire(f.Cause))
	case scaler.FactReturned:
		return fmt.Sprintf("instance %s is listed again", f.ID)
	case scaler.FactFruitless:
		if f.On {
			return fmt.Sprintf("instance %s died young (%d in a row): %s; the next create in %s", f.ID, f.Count, Retire(f.Cause), span(f.Took))
		}
		if f.ID == "" {
			return fmt.Sprintf("a create that was accepted showed no instance in time (%d in a row); the next create in %s", f.Count, span(f.Took))
		}
		return fmt.Sprintf("the boot of instance %s came to nothing (%d in a row): %s; the next create in %s", f.ID, f.Count, Retire(f.Cause), span(f.Took))
	case scaler.FactUnclaimed:
		return fmt.Sprintf("instance %s is nobody's that we know: it is counted, and neither used nor deleted; adopt_preexisting decides", f.ID)
	case scaler.FactAlarm:
		return fmt.Sprintf("instance %s could not be deleted for %s: look after it in the provider's console; it is asked again", f.ID, span(f.Took))
	case scaler.FactAdopt:
		return fmt.Sprintf("instance %s is taken in", f.ID)
	case scaler.FactPrepare:
		return fmt.Sprintf("preparing instance %s failed: %s", f.ID, f.Failure.Message)
	}
	return f.Kind.String()
}

// Waiting says why n are waiting, of whom booting wait for machines on their way and the rest for cause.
func Waiting(n, booting int, cause record.Cause) string {
	switch rest := n - booting; {
	case n == 0:
		return "nobody waits any more"
	case rest <= 0:
		return fmt.Sprintf("%s for machines that boot", waits(n))
	case booting == 0:
		return fmt.Sprintf("%s %s", waits(n), Wait(cause))
	default:
		return fmt.Sprintf("%s: %d for machines that boot, %d %s", waits(n), booting, rest, Wait(cause))
	}
}

func waits(n int) string {
	if n == 1 {
		return "1 job is waiting"
	}
	return fmt.Sprintf("%d jobs are waiting", n)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, suffix)
}

// span is d as people read it: three digits are enough.
func span(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}
