package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/internal/jobexec"
)

// debounce is how close together two signals are one: timeout(1) and some service managers send to the process and again to its group.
const debounce = 200 * time.Millisecond

// signals returns two contexts: soon ends with the first of these signals (finish what must be finished), now with the second (stop). The cause of
// both is a *jobexec.SignalError. A broken pipe is an error of the write from then on, and no signal.
func signals(parent context.Context, which ...os.Signal) (soon, now context.Context, stop func()) {
	soon, first := context.WithCancelCause(parent)
	now, second := context.WithCancelCause(parent)
	got := make(chan os.Signal, 2)
	signal.Notify(got, which...)
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	done := make(chan struct{})
	go func() {
		var last time.Time
		ends := []context.CancelCauseFunc{first, second}
		for len(ends) > 0 {
			select {
			case s := <-got:
				if time.Since(last) < debounce {
					continue
				}
				last = time.Now()
				ends[0](&jobexec.SignalError{Signal: s})
				ends = ends[1:]
			case <-done:
				return
			}
		}
	}()
	return soon, now, func() {
		signal.Stop(got)
		signal.Stop(pipe)
		close(done)
		first(nil)
		second(nil)
	}
}

// endings are the signals that end a command at a terminal.
func endings() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} }

// reloads gets a value for SIGHUP; several that come while nobody looks are one.
func reloads() (reload <-chan struct{}, stop func()) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	out, done := make(chan struct{}), make(chan struct{})
	go func() {
		for {
			select {
			case <-hup:
			case <-done:
				return
			}
			select {
			case out <- struct{}{}:
			case <-done:
				return
			}
		}
	}()
	return out, func() {
		signal.Stop(hup)
		close(done)
	}
}
