package workload

import (
	"encoding/json"
	"time"
)

// githubJob holds the fields that matter of a job in a response of GitHub's endpoint for the jobs of a workflow run.
type githubJob struct {
	ID         int64      `json:"id"`
	Attempt    int        `json:"run_attempt"`
	Name       string     `json:"name"`
	Status     string     `json:"status"`
	Conclusion string     `json:"conclusion"`
	Created    *time.Time `json:"created_at"`
	Started    *time.Time `json:"started_at"`
	Completed  *time.Time `json:"completed_at"`
	Labels     []string   `json:"labels"`
	Runner     *string    `json:"runner_name"`
}

// githubKey identifies a job. Each attempt has IDs of its own; the attempt is nevertheless part of the key, because GitHub documents both.
type githubKey struct {
	id      int64
	attempt int
}

func readGitHub(in *input, c *collector) error {
	c.calendar = true
	c.hint = "give the completed jobs of GitHub's API: GET /repos/:owner/:repo/actions/runs/:run_id/jobs?filter=all"
	seen := map[githubKey]bool{}
	return elements(in, c, func(at int, raw []byte) {
		var j githubJob
		if err := json.Unmarshal(raw, &j); err != nil {
			c.drop(at, whyFields)
			return
		}
		if why := j.why(seen); why != "" {
			c.drop(at, why)
			return
		}
		arrival := *j.Created
		if j.Started.Before(arrival) { // the clocks of two machines can differ
			arrival = *j.Started
		}
		r := row{at: at, arrival: arrival.UnixNano(), duration: j.Completed.Sub(*j.Started).Nanoseconds(),
			wait: j.Started.Sub(arrival).Nanoseconds(), tags: joinTags(j.Labels), name: j.Name}
		if j.Runner != nil {
			r.runner = []string{*j.Runner}
		}
		c.add(&r)
	})
}

// why is the reason why it is not a job; "": it is a job.
func (j *githubJob) why(seen map[githubKey]bool) string {
	key := githubKey{j.ID, j.Attempt}
	switch {
	case j.ID != 0 && seen[key]:
		return whyTwice
	case j.Conclusion == "skipped":
		return "it was skipped"
	case j.Status != "" && j.Status != "completed", j.Completed == nil:
		return "it was not finished"
	case j.Started == nil, j.Conclusion == "cancelled" && j.Runner != nil && *j.Runner == "":
		return whyStart
	case j.Created == nil:
		return "created_at is missing: when it became runnable is unknown"
	case !plausible(*j.Created), !plausible(*j.Started), !plausible(*j.Completed):
		return whyYear
	case j.Attempt > 1 && j.Completed.Before(*j.Created):
		return "its result was copied from an earlier attempt"
	}
	seen[key] = true
	return ""
}
