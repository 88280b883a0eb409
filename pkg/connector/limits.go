package connector

import "time"

// limits are the durations that cannot be configured. Tests shorten them.
type limits struct {
	timeout      time.Duration // how long connecting is retried when ConnectInfo.Timeout is 0
	keepalive    time.Duration // between keepalives when ConnectInfo.Keepalive is 0
	attempt      time.Duration // one attempt to connect: TCP, key exchange and authentication
	firstBackoff time.Duration // before the second attempt; randomised
	maxBackoff   time.Duration
	missed       int           // after so many keepalive intervals without an answer the connection is lost
	answer       time.Duration // how long the server may take for its first answer after a cancellation
	grace        time.Duration // between TERM and KILL
	settle       time.Duration // from KILL until the processes must be gone; also how long the last output is awaited
	stopWriting  time.Duration // how long a blocked Write of the caller is awaited
}

func defaultLimits() *limits {
	return &limits{
		timeout: 10 * time.Minute, keepalive: 30 * time.Second,
		attempt: 20 * time.Second, firstBackoff: 100 * time.Millisecond, maxBackoff: 5 * time.Second,
		missed: 3,
		answer: 2 * time.Second, grace: 2 * time.Second, settle: time.Second, stopWriting: time.Second,
	}
}
