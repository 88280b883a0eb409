// Package explain says why a group's fleet is as it is: which instances were created, held back or removed and because of what, who was
// refused, and what those who wait are waiting for.
//
// Nothing is recorded for it. A [History] is fed what was stepped into a real scaler.Core and what came out, round by round: by the
// journal's reader, which replays what a manager did, or by a test that drives a core itself. So an explanation can never differ from what
// was decided:
//
//	h := explain.NewHistory(explain.Options{Location: time.Local})
//	for each round {
//		for i := range events { core.Step(now, events[i]) }
//		batch := core.Take()
//		h.Add(core, now, events, batch) // before the next Step
//	}
//	for _, r := range h.Records() { fmt.Println(r.Sentence, r.Outcome) }
//	state := h.State() // what is there now, what is wanted, what holds it back, what comes next
//
// A core that was not seen before is a new life of the manager, unless [History.Begin] says otherwise. Every decision makes a [Record] with the chain from what brought it about to what became of it. Set Options.Instance or Options.Key to follow one instance or one
// caller in full: [History.Instance], [History.Key].
package explain
