package connector

import "time"

// Quick returns opts with limits that suit tests of what takes minutes in earnest.
func Quick(opts DialOptions, attempt, answer, grace time.Duration) DialOptions {
	l := defaultLimits()
	l.attempt, l.answer, l.grace = attempt, answer, grace
	l.firstBackoff, l.maxBackoff = 20*time.Millisecond, 200*time.Millisecond
	opts.limits = l
	return opts
}

// EndScript is the script that ends a process tree, as it is sent.
var EndScript = endScript
