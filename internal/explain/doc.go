// Package explain says why a group has the instances that it has: which instances were created, held back or removed and why, which callers
// were refused and why, and what the waiting callers wait for.
//
// A [History] receives, round by round, the events that a real scaler.Core processed and the decisions that it made. They come from the
// journal's reader, which replays the events of a manager, or from a test that drives a core. So an explanation cannot differ from the
// decisions:
//
//	h := explain.NewHistory(explain.Options{Location: time.Local})
//	for each round {
//		for i := range events { core.Step(now, events[i]) }
//		batch := core.Take()
//		h.Add(core, now, events, batch) // before the next Step
//	}
//	for _, r := range h.Records() { fmt.Println(r.Sentence, r.Outcome) }
//	state := h.State() // the instances now, the wanted size, what holds it back, and what comes next
//
// A new core means that a new manager started, unless [History.Begin] says otherwise. Every decision makes a [Record]. Its chain goes from the
// triggers over the decision to the consequences. Set Options.Instance or Options.Key to follow one instance or one caller completely:
// [History.Instance], [History.Key].
package explain
