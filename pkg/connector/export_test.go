package connector

import "time"

// Quick returns opts with short limits, for tests of what otherwise takes minutes.
func Quick(opts DialOptions, attempt, answer, grace time.Duration) DialOptions {
	l := defaultLimits()
	l.attempt, l.answer, l.grace = attempt, answer, grace
	l.firstBackoff, l.maxBackoff = 20*time.Millisecond, 200*time.Millisecond
	opts.limits = l
	return opts
}

// EndScript returns the script that ends a process tree, as it is sent to the server.
var EndScript = endScript
