package simulate

// table finds machines by a number. Numbers are given out in order, so an index is enough and no hash is needed. Memory at the front is
// freed when the oldest machines are gone.
type table struct {
	base  uint64 // the number of a[0]
	a     []*machine
	count int
}

func (t *table) get(n uint64) *machine {
	if i := n - t.base; n >= t.base && i < uint64(len(t.a)) {
		return t.a[i]
	}
	return nil
}

func (t *table) put(n uint64, m *machine) {
	if len(t.a) == 0 {
		t.base = n
	}
	for n < t.base { // numbers come almost in order: a few may be swapped
		t.a = append([]*machine{nil}, t.a...)
		t.base--
	}
	for n-t.base >= uint64(len(t.a)) {
		t.a = append(t.a, nil)
	}
	if t.a[n-t.base] == nil {
		t.count++
	}
	t.a[n-t.base] = m
}

func (t *table) drop(n uint64) {
	if t.get(n) == nil {
		return
	}
	t.count--
	t.a[n-t.base] = nil
	for len(t.a) > 0 && t.a[0] == nil {
		t.a = t.a[1:]
		t.base++
	}
}

// each calls f for every machine, in the order of the numbers.
func (t *table) each(f func(*machine)) {
	for _, m := range t.a {
		if m != nil {
			f(m)
		}
	}
}
