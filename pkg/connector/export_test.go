package connector

import "time"

// Quick returns opts with short pauses between attempts and with these limits. slack is the limit for what a slow server does after KILL.
func Quick(opts DialOptions, attempt, answer, grace, slack time.Duration) DialOptions {
	l := defaultLimits()
	l.attempt, l.answer, l.grace, l.settle = attempt, answer, grace, slack
	l.firstBackoff, l.maxBackoff = 20*time.Millisecond, 200*time.Millisecond
	opts.limits = l
	return opts
}

// EndScript returns the script that ends a process tree, as it is sent to the server.
var EndScript = endScript

// ExamineWithin is Examine with another time limit.
var ExamineWithin = examine

// LateAfter reports whether a process that was not run for this long counts as late.
func LateAfter(pause time.Duration) bool {
	c := &ownClock{start: time.Now().Add(-pause - clockTick)}
	c.ran(pause + clockTick)
	return c.late()
}
