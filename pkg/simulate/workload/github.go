package workload

import "time"

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

func readGitHub(in *input, c *collector) error {
	c.hint = "give the completed jobs of GitHub's API: GET /repos/:owner/:repo/actions/runs/:run_id/jobs?filter=all"
	return readJobLog[githubJob](in, c)
}

// key has the attempt too. Each attempt has ids of its own, but GitHub documents both.
func (j githubJob) key() jobKey { return jobKey{j.ID, j.Attempt} }

func (j githubJob) row() (r row, why string) {
	if why := j.why(); why != "" {
		return row{}, why
	}
	arrival := *j.Created
	if j.Started.Before(arrival) { // the clocks of two machines can differ
		arrival = *j.Started
	}
	r = row{arrival: arrival.UnixNano(), duration: j.Completed.Sub(*j.Started).Nanoseconds(),
		wait: j.Started.Sub(arrival).Nanoseconds(), tags: joinTags(j.Labels), name: j.Name}
	if j.Runner != nil {
		r.runner = []string{*j.Runner}
	}
	return r, ""
}

// why returns why this is not a job that ran, or "".
func (j *githubJob) why() string {
	switch {
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
	return ""
}
