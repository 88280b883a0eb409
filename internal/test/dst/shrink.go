package dst

// shrinkBudget is the maximum number of runs of a shrink.
const shrinkBudget = 500

// shrinker reduces a failing schedule: it leaves out faults and jobs, by number, as long as the same invariant breaks.
type shrinker struct {
	stage *stage
	opts  runOptions
	last  outcome
	runs  int
}

// shrink returns the smallest options found that break the same invariant as broken, and their outcome.
func shrink(s *stage, o runOptions, broken outcome) (runOptions, outcome) {
	h := &shrinker{stage: s, opts: o, last: broken}
	h.opts.keep = true
	h.opts.dropFaults, h.opts.dropJobs = map[occurrence]bool{}, map[int32]bool{}
	if !h.try(h.opts) { // not even the full schedule fails again: this itself violates invariant 10
		return o, broken
	}
	h.truncate()
	for before := -1; before != h.size() && h.runs < shrinkBudget; {
		before = h.size()
		h.dropFaults()
		h.dropJobs()
	}
	return h.opts, h.last
}

func (h *shrinker) size() int { return len(h.last.occurred)*1000 + h.last.jobs - len(h.opts.dropJobs) }

// try runs o and keeps it if it fails in the same way.
func (h *shrinker) try(o runOptions) bool {
	h.runs++
	got := h.stage.play(o)
	if got.broken == nil || got.broken.Invariant != h.last.broken.Invariant {
		return false
	}
	h.opts, h.last = o, got
	return true
}

// truncate ends the faults and the load earlier.
func (h *shrinker) truncate() {
	limit := defaultSteps
	if h.opts.small {
		return
	}
	for cut := limit / 2; cut > 0 && h.runs < shrinkBudget/4; {
		o := h.opts
		if o.calmFrom = limit - cut; o.calmFrom > 0 && h.try(o) {
			limit -= cut
		}
		cut /= 2
	}
}

// dropFaults leaves out faults, in smaller and smaller groups.
func (h *shrinker) dropFaults() {
	for size := max(len(h.last.occurred)/2, 1); h.runs < shrinkBudget; size /= 2 {
		for from := 0; from < len(h.last.occurred) && h.runs < shrinkBudget; {
			o := h.opts
			o.dropFaults = copyOf(h.opts.dropFaults)
			for _, occ := range h.last.occurred[from:min(from+size, len(h.last.occurred))] {
				o.dropFaults[occ] = true
			}
			if !h.try(o) {
				from += size
			}
		}
		if size <= 1 {
			return
		}
	}
}

// dropJobs leaves out callers, in smaller and smaller groups.
func (h *shrinker) dropJobs() {
	for size := max(h.last.jobs/2, 1); h.runs < shrinkBudget; size /= 2 {
		for from := 0; from < h.last.jobs && h.runs < shrinkBudget; from += size {
			o := h.opts
			o.dropJobs = copyOf(h.opts.dropJobs)
			for n := from; n < min(from+size, h.last.jobs); n++ {
				o.dropJobs[int32(n)] = true
			}
			if len(o.dropJobs) > len(h.opts.dropJobs) {
				h.try(o)
			}
		}
		if size <= 1 {
			return
		}
	}
}

func copyOf[K comparable](m map[K]bool) map[K]bool {
	out := make(map[K]bool, len(m)+8)
	for k := range m {
		out[k] = true
	}
	return out
}
