package scaler

import "time"

// window keeps the largest value that a step function had during the last span: N̂ of the sizing rule. It is a monotonic deque: a change of
// the value costs O(1) amortised, for any span.
type window struct {
	current int
	since   time.Duration // when current began
	past    []sample      // descending values, ascending ends
	head    int           // past[:head] has expired
}

// sample is an earlier value and the time at which it ended.
type sample struct {
	value int
	end   time.Duration
}

// set makes v the current value. A value that held for no time at all is not remembered, because no decision could use it.
func (w *window) set(v int, now time.Duration) {
	if v == w.current {
		return
	}
	if now > w.since {
		for len(w.past) > w.head && w.past[len(w.past)-1].value <= w.current {
			w.past = w.past[:len(w.past)-1]
		}
		w.past = append(w.past, sample{value: w.current, end: now})
	}
	w.current, w.since = v, now
}

// expire drops values that ended at least span ago, so that an instance that has been idle for exactly span may be retired.
func (w *window) expire(now, span time.Duration) {
	for w.head < len(w.past) && w.past[w.head].end <= now-span {
		w.head++
	}
	switch {
	case w.head == len(w.past):
		w.past, w.head = w.past[:0], 0
	case w.head > 64 && w.head*2 > len(w.past):
		n := copy(w.past, w.past[w.head:])
		w.past, w.head = w.past[:n], 0
	}
}

// max returns the largest value of the window.
func (w *window) max() int {
	if w.head < len(w.past) {
		return max(w.current, w.past[w.head].value)
	}
	return w.current
}

// fallsTo returns when max drops to v or less if the current value stays; ok is false when it never does.
func (w *window) fallsTo(v int, span time.Duration) (at time.Duration, ok bool) {
	if w.current > v {
		return 0, false
	}
	// The values descend, so those above v come first, and the last of them expires last.
	lo, hi := w.head, len(w.past)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); w.past[mid].value > v {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == w.head {
		return 0, true
	}
	return w.past[lo-1].end + span, true
}

// reset forgets earlier values, after a policy edge or a reload.
func (w *window) reset(now time.Duration) {
	w.past, w.head, w.since = w.past[:0], 0, now
}
