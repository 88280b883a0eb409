package daemon

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestHeldAgain: clients that wait for the end of a drain are woken when it ends, also if earlier ones left before.
func TestHeldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager, h := oneManager(t.Context(), t), &held{}
		if err := manager.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		impatient, leave := context.WithTimeout(t.Context(), everyLook)
		defer leave()
		if err := h.wait(impatient, manager); err == nil {
			t.Fatal("the wait ended during the drain")
		}
		time.Sleep(4 * everyLook) // nobody waits
		if n := h.count(); n != 0 {
			t.Fatalf("%d clients wait", n)
		}
		ended := make(chan error, 2)
		for range cap(ended) {
			go func() { ended <- h.wait(t.Context(), manager) }()
		}
		time.Sleep(4 * everyLook)
		if n := h.count(); n != cap(ended) || len(ended) > 0 {
			t.Fatalf("%d clients wait, %d do not any more", n, len(ended))
		}
		if err := manager.Undrain(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range cap(ended) {
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("after the drain: %v", err)
				}
			case <-time.After(time.Minute):
				t.Fatal("the drain is over, and a client still waits")
			}
		}
	})
}
