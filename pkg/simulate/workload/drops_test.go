package workload

import (
	"fmt"
	"testing"
)

// one reads a log of a good job and another one, and returns why the other was dropped; "" when it was not.
func one(t *testing.T, format, good, other string) string {
	t.Helper()
	l := readText(t, "["+good+","+other+"]", Options{Format: format})
	switch len(l.Dropped) {
	case 0:
		return ""
	case 1:
		return l.Dropped[0].Reason
	}
	t.Fatalf("%v", l.Notes())
	return ""
}

func TestWhyAGitLabJobIsNone(t *testing.T) {
	const form = `{"id":%d,"status":%q,"started_at":%s,"finished_at":%s,"duration":%s,"queued_duration":%s,"created_at":"2026-03-01T00:00:00Z"}`
	const start, end = `"2026-03-02T08:00:00Z"`, `"2026-03-02T08:01:00Z"`
	good := fmt.Sprintf(form, 1, "success", start, end, "60.0", "1.0")
	for name, tc := range map[string]struct{ job, want string }{
		"another":         {fmt.Sprintf(form, 2, "failed", start, end, "60.0", "1.0"), ""},
		"no duration":     {fmt.Sprintf(form, 2, "failed", start, end, "null", "1.0"), ""},
		"no id, twice":    {fmt.Sprintf(form, 0, "failed", start, end, "60", "1.0"), ""},
		"negative queue":  {fmt.Sprintf(form, 2, "failed", start, end, "60", "-0.1"), ""},
		"the same":        {good, whyTwice},
		"never started":   {fmt.Sprintf(form, 2, "canceled", "null", end, "null", "null"), whyStart},
		"running":         {fmt.Sprintf(form, 2, "running", start, "null", "12.0", "1.0"), "it was not finished"},
		"neither":         {fmt.Sprintf(form, 2, "success", start, "null", "null", "1.0"), "it was not finished"},
		"zero":            {fmt.Sprintf(form, 2, "canceled", start, start, "0.0", "1.0"), whyZero},
		"negative":        {fmt.Sprintf(form, 2, "canceled", end, start, "null", "1.0"), whyNegative},
		"endless":         {fmt.Sprintf(form, 2, "success", start, end, "1e300", "1.0"), whyLong},
		"queued for ever": {fmt.Sprintf(form, 2, "success", start, end, "1", "1e300"), "queued_duration is out of range"},
		"no queue":        {fmt.Sprintf(form, 2, "success", start, end, "1", "null"), "queued_duration is missing: when it became runnable is unknown"},
		"another year":    {fmt.Sprintf(form, 2, "success", `"9999-01-01T00:00:00Z"`, end, "1", "1"), whyYear},
		"no date":         {fmt.Sprintf(form, 2, "success", `"now"`, end, "1", "1"), whyFields},
		"a number":        {"7", "it is not a JSON object"},
	} {
		if got := one(t, GitLab, good, tc.job); got != tc.want {
			t.Errorf("%s: dropped because %q, want %q", name, got, tc.want)
		}
	}
}

// TestJobsAreToldApart: only a job that was taken can appear twice, and only if it has an ID.
func TestJobsAreToldApart(t *testing.T) {
	const form = `{"id":%d,"status":%q,"started_at":"2026-03-02T08:00:00Z","finished_at":%s,"duration":60,"queued_duration":1,"created_at":"2026-03-01T00:00:00Z"}`
	const end = `"2026-03-02T08:01:00Z"`
	nameless := fmt.Sprintf(form, 0, "success", end)
	if why := one(t, GitLab, nameless, nameless); why != "" {
		t.Errorf("the second job without an ID was dropped: %s", why)
	}
	unfinished, finished := fmt.Sprintf(form, 1, "running", "null"), fmt.Sprintf(form, 1, "success", end)
	if why := one(t, GitLab, unfinished, finished); why != "it was not finished" {
		t.Errorf("a job that a later page shows as finished: dropped because %q", why)
	}
}

func TestWhyAGitHubJobIsNone(t *testing.T) {
	const form = `{"id":%d,"run_attempt":%d,"status":%q,"conclusion":%q,"created_at":%s,"started_at":%s,"completed_at":%s,"runner_name":%s}`
	const made, start, end = `"2026-03-02T08:00:00Z"`, `"2026-03-02T08:00:10Z"`, `"2026-03-02T08:01:00Z"`
	const later = `"2026-03-02T09:00:00Z"`
	good := fmt.Sprintf(form, 1, 1, "completed", "success", made, start, end, `"r"`)
	for name, tc := range map[string]struct{ job, want string }{
		"another":           {fmt.Sprintf(form, 2, 1, "completed", "failure", made, start, end, `"r"`), ""},
		"another attempt":   {fmt.Sprintf(form, 1, 2, "completed", "success", made, start, end, `"r"`), ""},
		"cancelled, ran":    {fmt.Sprintf(form, 2, 1, "completed", "cancelled", made, start, end, `"r"`), ""},
		"no runner's name":  {fmt.Sprintf(form, 2, 1, "completed", "success", made, start, end, "null"), ""},
		"the same":          {good, whyTwice},
		"skipped":           {fmt.Sprintf(form, 2, 1, "completed", "skipped", made, made, made, "null"), "it was skipped"},
		"queued":            {fmt.Sprintf(form, 2, 1, "queued", "", made, made, "null", "null"), "it was not finished"},
		"cancelled, queued": {fmt.Sprintf(form, 2, 1, "completed", "cancelled", made, start, end, `""`), whyStart},
		"no start":          {fmt.Sprintf(form, 2, 1, "completed", "success", made, "null", end, `"r"`), whyStart},
		"no creation": {fmt.Sprintf(form, 2, 1, "completed", "success", "null", start, end, `"r"`),
			"created_at is missing: when it became runnable is unknown"},
		"taken over": {fmt.Sprintf(form, 2, 2, "completed", "success", later, start, end, `"r"`),
			"its result was copied from an earlier attempt"},
		"zero":         {fmt.Sprintf(form, 2, 1, "completed", "cancelled", made, start, start, `"r"`), whyZero},
		"backwards":    {fmt.Sprintf(form, 2, 1, "completed", "success", made, end, start, `"r"`), whyNegative},
		"another year": {fmt.Sprintf(form, 2, 1, "completed", "success", `"0001-01-01T00:00:00Z"`, start, end, `"r"`), whyYear},
		"no date":      {fmt.Sprintf(form, 2, 1, "completed", "success", `"now"`, start, end, `"r"`), whyFields},
	} {
		if got := one(t, GitHub, good, tc.job); got != tc.want {
			t.Errorf("%s: dropped because %q, want %q", name, got, tc.want)
		}
	}
}
