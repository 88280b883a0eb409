// Package observe makes what the core reports readable: facts become sentences, log lines and callbacks, and a cause becomes the same
// words wherever it is shown. Listeners are a struct of callbacks, any of which may be nil, and several make one by [Tee].
package observe

import (
	"github.com/taskscaler/taskscaler/internal/scaler"
)

// Observer is a set of callbacks, each of which may be nil. They are called one after the other, in the order of events, and must be quick.
// What they are given is valid until they return.
type Observer struct {
	// Events is told what is about to be stepped, and at what time: together with Batch, everything a replay needs.
	Events func(now scaler.Time, events []scaler.Event)
	// Batch is told what was decided, after it was committed.
	Batch func(batch *scaler.Batch)
	// Fact is told each fact of a batch, after it was committed.
	Fact func(fact *scaler.Fact)
	// Commit is told that a commit failed (err, how often in a row), or that one went well after failures (nil, how many there were).
	Commit func(err error, failures int)
}

// Tee is one observer that passes everything on to all of obs, in their order. Callbacks that none of them has stay nil.
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
