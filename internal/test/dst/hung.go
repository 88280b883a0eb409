package dst

import "time"

// lookEvery is how often the workers are looked at.
const lookEvery = time.Second

// watchdog counts in how many looks in a row each worker was still in the same schedule. It does not measure time: a computer that was suspended has
// run nothing meanwhile.
type watchdog struct{ workers []watched }

type watched struct {
	since int64 // start of its schedule at the last look
	looks int
}

// look notes that worker n is in a schedule that began at since (0: in none). It reports whether that schedule hangs.
func (d *watchdog) look(n int, since int64) bool {
	w := &d.workers[n]
	if since == 0 || since != w.since {
		*w = watched{since: since}
		return false
	}
	w.looks++
	return w.looks >= int(HungAfter/lookEvery)
}
