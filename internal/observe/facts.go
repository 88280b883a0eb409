package observe

import (
	"fmt"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Sentence describes f in one line, whatever the provider and the callers wrote into it.
func Sentence(f *scaler.Fact) string { return safetext.Line(sentence(f), maxSentence) }

const maxSentence = 2 << 10 // bytes

func sentence(f *scaler.Fact) string {
	switch f.Kind {
	case scaler.FactCreate:
		return fmt.Sprintf("asked the provider for %s: %s", words.Count(f.Count, "instance"), Sizing(&f.Decision, PolicyName(f.Policy, nil), 0))
	case scaler.FactWait:
		return Waiting(f.Count, f.Booting, f.Cause)
	case scaler.FactPolicy:
		if f.Count < 0 {
			return "no policy applies now: no slot is kept idle"
		}
		return fmt.Sprintf("policy %d applies now", f.Count+1)
	case scaler.FactDeny:
		return fmt.Sprintf("refused %q: %s", f.Key, Denial(f.Cause))
	case scaler.FactRevoke:
		return fmt.Sprintf("revoked the lease of %q on instance %s: %s", f.Key, f.ID, Revoked(f))
	case scaler.FactRefused:
		return fmt.Sprintf("a create failed (%s): %s; the next create in %s", f.Failure.Kind, f.Failure.Message, words.Span(f.Took))
	case scaler.FactListFailed:
		return fmt.Sprintf("listing the instances failed (%s, %d in a row): %s", f.Failure.Kind, f.Count, f.Failure.Message)
	case scaler.FactListed:
		return fmt.Sprintf("listing the instances works again, after %s in a row", words.Count(f.Count, "failure"))
	case scaler.FactForeign:
		if f.On {
			return "instances appear that this manager did not ask for, so another manager seems to use this group; creates are paused, and so are " +
				"deletes of instances that this manager did not create: stop the other manager, or give it another group"
		}
		return "no more instances appear that this manager did not ask for: the pause of creates and deletes ends"
	case scaler.FactReload:
		return "the configuration was reloaded"
	case scaler.FactHold:
		return fmt.Sprintf("held back %s, because %s: %s", words.Count(f.Count, "create"), Retire(f.Cause), Sizing(&f.Decision, PolicyName(f.Policy, nil), 0))
	case scaler.FactBreaker:
		if f.On {
			return fmt.Sprintf("the runaway breaker opens: %d instances in a row failed; one instance at a time is created until one works, the next in %s",
				f.Count, words.Span(f.Took))
		}
		return fmt.Sprintf("the runaway breaker closes: instance %s works", f.ID)
	case scaler.FactIntent:
		if f.Cause == record.CauseBootOverdue {
			return fmt.Sprintf("%s did not appear within instance_deadlines.requested%s", words.Count(f.Count, "instance"), Accepted(f.On))
		}
		if f.Cause == record.CauseZombie {
			return fmt.Sprintf("no longer waiting for %s: an instance appeared under the name of an earlier one, and it may be the one that was requested",
				words.Count(f.Count, "instance"))
		}
		return fmt.Sprintf("no longer waiting for %s: the provider's complete lists do not show what was requested", words.Count(f.Count, "instance"))
	}
	return instanceSentence(f)
}

// Accepted continues a sentence about instances that did not appear: whether the provider accepted their create.
func Accepted(yes bool) string {
	if yes {
		return ", although the provider accepted the create"
	}
	return "; the provider did not confirm the create"
}

// Reported is what follows the cause of a retirement or a revocation: the words of the failure behind it, as in ` ("the disk is full")`. It
// is empty if the failure has no words.
func Reported(f *scaler.Fact) string {
	if f.Failure.Message == "" {
		return ""
	}
	return fmt.Sprintf(" (%q)", f.Failure.Message)
}

// instanceSentence is Sentence for the facts that concern one instance.
func instanceSentence(f *scaler.Fact) string {
	switch f.Kind {
	case scaler.FactAppeared:
		if f.Cause != record.CauseNone {
			return fmt.Sprintf("instance %s appeared, but is not used: %s", f.ID, Retire(f.Cause))
		}
		return fmt.Sprintf("instance %s appeared", f.ID)
	case scaler.FactReady:
		return fmt.Sprintf("instance %s is ready, %s after it was first listed", f.ID, words.Span(f.Took))
	case scaler.FactRetire:
		if f.Cause == record.CauseIdle {
			return fmt.Sprintf("instance %s is retired: %s (idle for %s; at most %s needed in that time; supply without it %d)", f.ID, Retire(f.Cause),
				words.Span(f.Took), words.Count(f.Peak, "slot"), f.Left)
		}
		return fmt.Sprintf("instance %s is retired: %s%s", f.ID, Why(f), Reported(f))
	case scaler.FactDelete:
		if f.Count > 1 {
			return fmt.Sprintf("asked the provider to delete instance %s, for the %s time", f.ID, words.Ordinal(f.Count))
		}
		return fmt.Sprintf("asked the provider to delete instance %s", f.ID)
	case scaler.FactGone:
		return fmt.Sprintf("instance %s is deleted; it existed for %s", f.ID, words.Span(f.Took))
	case scaler.FactLost:
		return fmt.Sprintf("instance %s is lost: %s", f.ID, Retire(f.Cause))
	case scaler.FactReturned:
		return fmt.Sprintf("instance %s is listed again", f.ID)
	case scaler.FactFruitless:
		switch {
		case f.ID == "":
			return fmt.Sprintf("an instance did not appear in time%s (%d in a row); the next create in %s", Accepted(f.On), f.Count, words.Span(f.Took))
		case f.On:
			return fmt.Sprintf("early failure of instance %s (%d in a row): %s; the next create in %s", f.ID, f.Count, Why(f), words.Span(f.Took))
		}
		return fmt.Sprintf("the boot of instance %s failed (%d in a row): %s; the next create in %s", f.ID, f.Count, Retire(f.Cause), words.Span(f.Took))
	case scaler.FactUnclaimed:
		if f.ID == "" {
			return fmt.Sprintf("%s unclaimed: the state has no record of them; they count towards max_instances, but are neither used nor deleted: "+
				"set adopt_preexisting to adopt or remove them", words.Plural(f.Count, "more instance is", "more instances are"))
		}
		return fmt.Sprintf("instance %s is unclaimed: the state has no record of it; it counts towards max_instances, but is neither used nor deleted: "+
			"set adopt_preexisting to adopt or remove it", f.ID)
	case scaler.FactAlarm:
		if f.On {
			return fmt.Sprintf("instance %s is not gone %s after its delete, which the provider accepted: no complete list since then was without it; "+
				"the manager keeps trying: check the instance in the provider's console", f.ID, words.Span(f.Took))
		}
		return fmt.Sprintf("instance %s could not be deleted for %s; the manager keeps trying: check the instance in the provider's console", f.ID, words.Span(f.Took))
	case scaler.FactUnreachable:
		if f.On {
			return fmt.Sprintf("instance %s gets no new job: the provider cannot say how to reach it: %s", f.ID, f.Failure.Message)
		}
		return fmt.Sprintf("instance %s gets jobs again: the provider says how to reach it", f.ID)
	case scaler.FactAdopt:
		return fmt.Sprintf("instance %s is adopted", f.ID)
	case scaler.FactPrepare:
		return fmt.Sprintf("preparing instance %s failed: %s", f.ID, f.Failure.Message)
	}
	return f.Kind.String()
}

// Waiting says why n jobs are waiting: booting of them wait for instances to boot, the others for cause.
func Waiting(n, booting int, cause record.Cause) string {
	switch rest := n - booting; {
	case n == 0:
		return "no job is waiting any more"
	case rest <= 0 && cause != record.CauseBoot && cause != record.CauseNone: // it boots, and cannot be seen
		return fmt.Sprintf("%s %s", waits(n), Wait(cause))
	case rest <= 0 && n == 1:
		return fmt.Sprintf("%s %s", waits(n), Wait(record.CauseBoot))
	case rest <= 0:
		return fmt.Sprintf("%s for instances to boot", waits(n))
	case booting == 0:
		return fmt.Sprintf("%s %s", waits(n), Wait(cause))
	default:
		return fmt.Sprintf("%s: %d for instances to boot, %d %s", waits(n), booting, rest, Wait(cause))
	}
}

func waits(n int) string { return words.Plural(n, "job is waiting", "jobs are waiting") }
