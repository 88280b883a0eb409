package scaler

import "time"

// timerKind says what to do when the timer is due.
type timerKind uint8

const (
	timerBoot    timerKind = iota + 1 // an instance's deadline in its state
	timerRetry                        // preparing, a delete or a heartbeat is tried again
	timerForget                       // a remembered instance is forgotten
	timerIntent                       // an intent's deadline
	timerWaiter                       // a waiter's deadline
	timerReserve                      // a reservation's deadline
	timerOrphan                       // a detached lease's deadline
)

// timer is one entry of the heap. It is embedded in what it belongs to, so that arming it does not allocate.
type timer struct {
	at   time.Duration
	seq  uint64
	kind timerKind
	pos  int // 1 + index in the heap; 0: not armed
	of   any
}

// timers is a binary heap ordered by (time, sequence number): of timers of the same time, the one armed first is due first.
type timers struct {
	heap []*timer
	seq  uint64
}

// set arms t, or moves it if it is armed.
func (h *timers) set(t *timer, at time.Duration) {
	h.seq++
	t.seq = h.seq
	if t.pos == 0 {
		t.at = at
		h.heap = append(h.heap, t)
		t.pos = len(h.heap)
		h.up(t.pos - 1)
		return
	}
	t.at = at
	h.fix(t.pos - 1)
}

// stop disarms t.
func (h *timers) stop(t *timer) {
	if t.pos == 0 {
		return
	}
	i, last := t.pos-1, len(h.heap)-1
	h.swap(i, last)
	h.heap[last] = nil
	h.heap = h.heap[:last]
	t.pos = 0
	if i < last {
		h.fix(i)
	}
}

// due removes and returns the first timer whose time has come, or nil.
func (h *timers) due(now time.Duration) *timer {
	if len(h.heap) == 0 || h.heap[0].at > now {
		return nil
	}
	t := h.heap[0]
	h.stop(t)
	return t
}

// next returns the time of the first timer.
func (h *timers) next() (time.Duration, bool) {
	if len(h.heap) == 0 {
		return 0, false
	}
	return h.heap[0].at, true
}

func (h *timers) less(a, b int) bool {
	x, y := h.heap[a], h.heap[b]
	return x.at < y.at || x.at == y.at && x.seq < y.seq
}

func (h *timers) swap(a, b int) {
	h.heap[a], h.heap[b] = h.heap[b], h.heap[a]
	h.heap[a].pos, h.heap[b].pos = a+1, b+1
}

func (h *timers) fix(i int) {
	if !h.down(i) {
		h.up(i)
	}
}

func (h *timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *timers) down(i int) bool {
	start := i
	for {
		child := 2*i + 1
		if child >= len(h.heap) {
			break
		}
		if child+1 < len(h.heap) && h.less(child+1, child) {
			child++
		}
		if !h.less(child, i) {
			break
		}
		h.swap(i, child)
		i = child
	}
	return i > start
}
