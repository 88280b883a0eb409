package workload

import (
	"encoding/json"
	"time"
)

// gitlabJob holds the fields that matter of a job in a response of GitLab's jobs API.
type gitlabJob struct {
	ID       int64      `json:"id"`
	Name     string     `json:"name"`
	Status   string     `json:"status"`
	Started  *time.Time `json:"started_at"`
	Finished *time.Time `json:"finished_at"`
	Duration *float64   `json:"duration"`        // seconds
	Queued   *float64   `json:"queued_duration"` // seconds
	Tags     []string   `json:"tag_list"`
	Runner   *struct {
		Description string `json:"description"`
		Name        string `json:"name"`
	} `json:"runner"`
}

func readGitLab(in *input, c *collector) error {
	c.calendar = true
	c.hint = "give the finished jobs of GitLab's API: GET /projects/:id/jobs?scope[]=success&scope[]=failed"
	seen := map[int64]bool{}
	return elements(in, c, func(at int, raw []byte) {
		var j gitlabJob
		if err := json.Unmarshal(raw, &j); err != nil {
			c.drop(at, whyFields)
			return
		}
		if why := j.why(seen); why != "" {
			c.drop(at, why)
			return
		}
		queued := seconds(max(*j.Queued, 0)) // the clocks of two machines can differ; a job cannot start before it exists
		r := row{at: at, arrival: j.Started.UnixNano() - queued, wait: queued, tags: joinTags(j.Tags), name: j.Name}
		if j.Duration != nil {
			r.duration = seconds(*j.Duration)
		} else {
			r.duration = j.Finished.Sub(*j.Started).Nanoseconds()
		}
		if j.Runner != nil {
			r.runner = []string{j.Runner.Description, j.Runner.Name}
		}
		c.add(&r)
	})
}

const (
	whyFields = "a field has another type than the API documents"
	whyTwice  = "it appears twice: pages shift while they are read"
)

// why is the reason why it is not a job; "": it is a job.
func (j *gitlabJob) why(seen map[int64]bool) string {
	switch {
	case j.ID != 0 && seen[j.ID]:
		return whyTwice
	case j.Started == nil:
		return whyStart
	case !plausible(*j.Started), j.Finished != nil && !plausible(*j.Finished):
		return whyYear
	case j.Finished == nil && j.Duration == nil, j.Finished == nil && j.Status == "running":
		return "it was not finished"
	case j.Queued == nil:
		return "queued_duration is missing: when it became runnable is unknown"
	case *j.Queued > longest.Seconds():
		return "queued_duration is out of range"
	}
	seen[j.ID] = true
	return ""
}

// plausible reports whether a time fits into nanoseconds.
func plausible(t time.Time) bool { return t.Year() >= 1970 && t.Year() <= 2200 }
