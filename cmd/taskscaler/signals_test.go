package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/jobexec"
)

// TestEndings: each signal by which a terminal, a service manager or a user ends a command ends it in order: SIGHUP too, which a terminal sends
// when it is closed.
func TestEndings(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		soon, now, stop := signals(t.Context(), endings()...)
		handled := false
		for _, e := range endings() {
			handled = handled || e == sig
		}
		if !handled {
			stop()
			t.Errorf("%s ends the process at once", sig)
			continue
		}
		if err := syscall.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
		<-soon.Done()
		var by *jobexec.SignalError
		if !errors.As(context.Cause(soon), &by) || by.Signal != sig {
			t.Errorf("%s: the cause is %v", sig, context.Cause(soon))
		}
		if now.Err() != nil {
			t.Errorf("%s stops at once, as a second signal would", sig)
		}
		stop()
	}
}

// TestDoubledSignal: timeout(1) and some service managers send a signal twice. Both together end a command in order; a later one stops it at once.
func TestDoubledSignal(t *testing.T) {
	send := func() {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	for inTime := false; !inTime; {
		soon, now, stop := signals(t.Context(), endings()...)
		began := time.Now()
		send()
		<-soon.Done()
		send()
		if inTime = time.Since(began) < debounce/2; inTime { // a busy machine may be too slow: then once more
			select {
			case <-now.Done():
				t.Error("the second of two signals stops at once")
			case <-time.After(2 * debounce):
			}
			send()
			<-now.Done()
		}
		stop()
	}
}
