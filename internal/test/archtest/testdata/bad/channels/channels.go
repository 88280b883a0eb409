// Package channels talks to others.
package channels

import "golang.org/x/time/rate"

type events chan int // want "channel"

type holder struct {
	c <-chan string // want "channel"
}

func f(e events, h holder, _ rate.Limit) { // want "channel"
	e <- 1    // want "channel"
	<-h.c     // want "channel"
	close(e)  // want "channel"
	select {} // want "channel"
}

func g(h holder) {
	for range h.c { // want "channel"
	}
	e := make(events) // want "channel"
	_ = cap(e)        // want "channel"
}
