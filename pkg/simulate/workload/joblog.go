package workload

import (
	"encoding/json"
	"time"
)

// loggedJob is a job as the API of a CI service returns it.
type loggedJob interface {
	// key identifies the job in the log.
	key() jobKey
	// row returns the job's times and names, without its place in the log. It returns the reason instead if this is not a job that ran.
	row() (r row, why string)
}

// jobKey tells the jobs of a log apart. An id of 0 identifies no job.
type jobKey struct {
	id      int64
	attempt int
}

const (
	whyFields = "a field has another type than the API documents"
	whyTwice  = "it appears twice: pages shift while they are read"
)

// readJobLog reads the API's answers: objects that each fill a J.
func readJobLog[J loggedJob](in *input, c *collector) error {
	c.calendar = true
	seen := map[jobKey]bool{}
	return elements(in, c, func(at int, raw []byte) {
		var j J
		if err := json.Unmarshal(raw, &j); err != nil {
			c.drop(at, whyFields)
			return
		}
		key := j.key()
		if key.id != 0 && seen[key] {
			c.drop(at, whyTwice)
			return
		}
		r, why := j.row()
		if why != "" {
			c.drop(at, why)
			return
		}
		seen[key] = true
		r.at = at
		c.add(&r)
	})
}

// plausible reports whether a time fits into nanoseconds.
func plausible(t time.Time) bool { return t.Year() >= 1970 && t.Year() <= 2200 }
