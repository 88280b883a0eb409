package simulate

// kind says what an event of the heap is. Events of one instant are handled in the order of their kinds: an event that frees a slot comes
// before an event that needs one.
type kind uint8

const (
	kindAnswer  kind = iota // the result of a command: index into engine.answers
	kindJobDone             // the end of a job: index into engine.jobs
	kindList                // the observer's next list
	kindPoll                // the runner's next poll
)

// event is one entry of the heap.
type event struct {
	at   int64 // nanoseconds from the start
	seq  uint32
	kind kind
	turn uint16 // the turn of the job or list when the event was scheduled; the event is void if the turn has changed
	idx  int32
}

// heap is a 4-ary heap ordered by (time, sequence). It has fewer levels than a binary heap, and four siblings fit into one cache line.
type heap struct {
	a   []event
	seq uint32
}

func before(x, y *event) bool { return x.at < y.at || x.at == y.at && int32(x.seq-y.seq) < 0 }

func (h *heap) push(e event) {
	h.seq++
	e.seq = h.seq
	h.a = append(h.a, e)
	i := len(h.a) - 1
	for i > 0 {
		p := (i - 1) / 4
		if !before(&e, &h.a[p]) {
			break
		}
		h.a[i] = h.a[p]
		i = p
	}
	h.a[i] = e
}

func (h *heap) pop() event {
	top := h.a[0]
	n := len(h.a) - 1
	e := h.a[n]
	h.a = h.a[:n]
	if n == 0 {
		return top
	}
	i := 0
	for {
		c := 4*i + 1
		if c >= n {
			break
		}
		for k, end := c+1, min(c+4, n); k < end; k++ {
			if before(&h.a[k], &h.a[c]) {
				c = k
			}
		}
		if !before(&h.a[c], &e) {
			break
		}
		h.a[i] = h.a[c]
		i = c
	}
	h.a[i] = e
	return top
}
