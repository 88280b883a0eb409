package plugin

import "time"

// WithExitGrace returns opts with another time between a broken connection and the news of the exit, which the call's error tells. The
// default is a quarter of a second.
func WithExitGrace(opts LaunchOptions, grace time.Duration) LaunchOptions {
	opts.exitGrace = grace
	return opts
}

// WithShortCall returns opts with another time below which an unanswered call does not count. The default is five seconds.
func WithShortCall(opts LaunchOptions, short time.Duration) LaunchOptions {
	opts.shortCall = short
	return opts
}
