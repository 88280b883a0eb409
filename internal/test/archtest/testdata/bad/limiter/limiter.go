// Package limiter lets the limiter read the clock.
package limiter

import "golang.org/x/time/rate"

func f(l *rate.Limiter) {
	_ = l.Allow()          // want "clock"
	_ = l.Tokens()         // want "clock"
	_ = l.Reserve()        // want "clock"
	l.SetLimit(1)          // want "clock"
	l.SetBurst(1)          // want "clock"
	var s rate.Sometimes   // want "clock"
	s.Do(func() {})        // want "clock"
	_, _ = l.Wait, l.WaitN // want "clock"
}

func g(r *rate.Reservation) {
	_ = r.Delay() // want "clock"
	r.Cancel()    // want "clock"
}
