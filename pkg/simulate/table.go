package simulate

// table finds machines by a number that is given out in order: an index instead of a hash. Its front is given back as the oldest machines go.
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
	for n < t.base { // numbers come in order but for a few that overtake each other
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

// each calls f for every machine, in the order of their numbers.
func (t *table) each(f func(*machine)) {
	for _, m := range t.a {
		if m != nil {
			f(m)
		}
	}
}
