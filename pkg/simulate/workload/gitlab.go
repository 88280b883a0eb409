package workload

import "time"

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
	c.hint = "give the finished jobs of GitLab's API: GET /projects/:id/jobs?scope[]=success&scope[]=failed"
	return readJobLog[gitlabJob](in, c)
}

func (j gitlabJob) key() jobKey { return jobKey{id: j.ID} }

func (j gitlabJob) row() (r row, why string) {
	if why := j.why(); why != "" {
		return row{}, why
	}
	queued := seconds(max(*j.Queued, 0)) // the clocks of two machines can differ; a job cannot start before it exists
	r = row{arrival: j.Started.UnixNano() - queued, wait: queued, tags: joinTags(j.Tags), name: j.Name}
	if j.Duration != nil {
		r.duration = seconds(*j.Duration)
	} else {
		r.duration = j.Finished.Sub(*j.Started).Nanoseconds()
	}
	if j.Runner != nil {
		r.runner = []string{j.Runner.Description, j.Runner.Name}
	}
	return r, ""
}

// why returns why this is not a job that ran, or "".
func (j *gitlabJob) why() string {
	switch {
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
	return ""
}
