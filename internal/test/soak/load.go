package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// load starts jobs, in alternating phases.
type load struct {
	clients *clients
	rand    *rand.Rand
	phase   time.Duration
	view    *view
}

// run goes through the phases until ctx ends.
func (l *load) run(ctx context.Context) {
	phases := []struct {
		name string
		run  func(context.Context)
	}{
		{"bursts", l.bursts}, {"steady", l.steady}, {"quiet", l.quiet}, {"long jobs", l.long}, {"single jobs", l.single},
	}
	for n := 0; ctx.Err() == nil; n++ {
		p := phases[n%len(phases)]
		l.view.phase(p.name)
		within, stop := context.WithTimeout(ctx, l.phase)
		p.run(within)
		stop()
	}
}

// job starts one job. One job in five exits with a code other than 0.
func (l *load) job(atLeast, atMost time.Duration) {
	code := 0
	if l.rand.IntN(5) == 0 {
		code = 1 + l.rand.IntN(100)
	}
	if l.clients.site.away.Load() && l.rand.IntN(6) != 0 { // most would only be refused
		return
	}
	if err := l.clients.start(l.between(atLeast, atMost), code); err != nil {
		l.view.say("%v", err) // the checker reports that its answer is missing
	}
}

func (l *load) between(atLeast, atMost time.Duration) time.Duration {
	return atLeast + time.Duration(l.rand.Int64N(int64(atMost-atLeast)))
}

// pause waits; false: ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (l *load) bursts(ctx context.Context) {
	for range 2 {
		for range 8 + l.rand.IntN(12) {
			l.job(100*time.Millisecond, 2*time.Second)
		}
		if !pause(ctx, l.phase/2) {
			return
		}
	}
}

func (l *load) steady(ctx context.Context) {
	for pause(ctx, l.between(200*time.Millisecond, 600*time.Millisecond)) {
		l.job(200*time.Millisecond, 3*time.Second)
	}
}

// quiet starts no job, so that the fleet shrinks. Running jobs continue.
func (l *load) quiet(ctx context.Context) { <-ctx.Done() }

// long starts jobs that run longer than the time between kills.
func (l *load) long(ctx context.Context) {
	for range 6 + l.rand.IntN(4) {
		l.job(4*time.Second, 12*time.Second)
	}
	<-ctx.Done()
}

// single starts jobs at the moment when the fleet has just become idle.
func (l *load) single(ctx context.Context) {
	for pause(ctx, l.between(500*time.Millisecond, 4*time.Second)) {
		l.job(50*time.Millisecond, time.Second)
	}
}
