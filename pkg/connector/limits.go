package connector

import "time"

// limits are the durations that nobody configures; tests shorten them.
type limits struct {
	timeout      time.Duration // how long connecting is retried when ConnectInfo.Timeout is 0
	keepalive    time.Duration // between keepalives when ConnectInfo.Keepalive is 0
	attempt      time.Duration // one attempt to connect: TCP, key exchange and authentication
	firstBackoff time.Duration // before the second attempt, roughly
	maxBackoff   time.Duration
	missed       int           // unanswered keepalive intervals until the connection counts as lost
	answer       time.Duration // after a cancellation: until the server must have answered something
	grace        time.Duration // between TERM and KILL
	settle       time.Duration // after KILL, until the processes must be gone; and for the last output to arrive
	stopWriting  time.Duration // for a blocked Write of the caller
}

func defaultLimits() *limits {
	return &limits{
		timeout: 10 * time.Minute, keepalive: 30 * time.Second,
		attempt: 20 * time.Second, firstBackoff: 100 * time.Millisecond, maxBackoff: 5 * time.Second,
		missed: 3,
		answer: 2 * time.Second, grace: 2 * time.Second, settle: time.Second, stopWriting: time.Second,
	}
}
