package dst

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
)

// poll is a poller without jobs: it reserves and cancels its reservation, again and again.
func (w *world) poll(n int, _ uint8) {
	d := w.dice.at(streamPoller, uint64(n)<<40|w.pollNo[n])
	w.pollNo[n]++
	quick := !w.closing
	if w.polling[n] {
		w.polling[n] = false
		w.step(scaler.Event{Kind: scaler.EvUnreserve, Key: w.pollKeys[n]})
		wait := d.skewed(time.Second, 20*time.Second)
		if !quick {
			wait += 3 * time.Minute
		}
		w.later(wait, itemPoller, n, 0)
		return
	}
	w.polling[n] = true
	w.pollAsk[n] = uint64(n+1)<<56 | w.pollNo[n]
	w.step(scaler.Event{Kind: scaler.EvReserve, Key: w.pollKeys[n], Ticket: w.pollAsk[n]})
	w.later(d.skewed(500*time.Millisecond, 40*time.Second), itemPoller, n, 0)
}
