// Package observe turns the facts of the core into sentences, log lines and callbacks. A cause has the same words wherever it is shown. A
// listener is an [Observer], a struct of callbacks; [Tee] joins several.
package observe

import (
	"github.com/taskscaler/taskscaler/internal/scaler"
)

// Observer is a set of callbacks. Each may be nil. They are called one after another, in the order of events, and must return quickly.
// Their arguments are valid only until they return.
type Observer struct {
	// Events receives the events before the core processes them, and the time. With Batch, this is everything that a replay needs.
	Events func(now scaler.Time, events []scaler.Event)
	// Batch receives the decisions after they were committed.
	Batch func(batch *scaler.Batch)
	// Fact receives each fact of a batch after the batch was committed.
	Fact func(fact *scaler.Fact)
	// Commit is called when a commit failed (err, the number of failures in a row), and when one succeeded after failures (nil, their number).
	Commit func(err error, failures int)
}

// Tee returns an observer that calls all of obs, in their order. A callback that none of them has stays nil.
func Tee(obs ...Observer) Observer {
	var out Observer
	for _, o := range obs {
		out.Events = tee2(out.Events, o.Events)
		out.Batch = tee1(out.Batch, o.Batch)
		out.Fact = tee1(out.Fact, o.Fact)
		out.Commit = tee2(out.Commit, o.Commit)
	}
	return out
}

func tee1[A any](f, g func(A)) func(A) {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	}
	return func(a A) { f(a); g(a) }
}

func tee2[A, B any](f, g func(A, B)) func(A, B) {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	}
	return func(a A, b B) { f(a, b); g(a, b) }
}
