package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/internal/jobexec"
)

// debounce is the time within which two signals count as one. timeout(1) and some service managers send a signal twice: to the process, and to
// its process group.
const debounce = 200 * time.Millisecond

// signals returns two contexts: soon ends with the first signal (finish in order), now ends with the second signal (stop at once). The cause of
// both is a *jobexec.SignalError. After this call, a broken pipe is a write error and not a signal.
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

// endings returns the signals that end a command at a terminal.
func endings() []os.Signal {
	return []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}
}

// reloads returns a channel that receives a value for each SIGHUP. Several signals that arrive before a read become one value.
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
