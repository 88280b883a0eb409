package simulate

// kind says what an event of the heap is. Its order is the order of events at one instant: what frees a slot comes before who wants one.
type kind uint8

const (
	kindAnswer  kind = iota // of a command: index into engine.answers
	kindJobDone             // index into engine.jobs
	kindList                // the observer's next list
	kindPoll                // the runner's next poll
)

// event is one entry of the heap.
type event struct {
	at   int64 // ns from the start
	seq  uint32
	kind kind
	turn uint16 // of what it belongs to: a later turn makes it void
	idx  int32
}

// heap is a 4-ary heap ordered by (time, sequence): fewer levels than a binary one, and the four children share a cache line.
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
