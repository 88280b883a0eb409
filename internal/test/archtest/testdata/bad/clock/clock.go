// Package clock reads it.
package clock

import (
	. "time"
	t "time"
)

func f() {
	_ = Now()                     // want "clock"
	_ = t.Now()                   // want "clock"
	_ = t.Since(t.Time{})         // want "clock"
	_ = t.Until(t.Time{})         // want "clock"
	t.Sleep(1)                    // want "clock"
	_ = t.NewTimer(1)             // want "clock"
	_ = t.NewTicker(1)            // want "clock"
	_ = t.AfterFunc(1, func() {}) // want "clock"
	now := t.Now                  // want "clock"
	_ = now
}

func g() {
	_, _ = t.After, t.Tick // want "clock"
}
