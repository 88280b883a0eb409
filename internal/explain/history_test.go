package explain_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/explain"
	"github.com/taskscaler/taskscaler/internal/explain/explaintest"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

// told is what a record says, in one line.
func told(r *explain.Record) string {
	s := fmt.Sprintf("%s %s: %s", r.Time.Format(time.TimeOnly), r.Kind, r.Sentence)
	if r.Outcome != "" {
		s += " → " + r.Outcome
	}
	return s
}

// TestOneLife: a create says what it came to, and a removal why it was decided and how long it took.
func TestOneLife(t *testing.T) {
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleTime: time.Minute}, func(c *scaler.Config) {
		c.MaxInstances = 2
	}), explain.Options{})
	r.Acquire("a", "b", "c")
	r.Run(10 * time.Second)
	r.Release("a", "b", "c")
	r.Run(2 * time.Minute)
	var got []string
	for _, rec := range r.History.Records() {
		got = append(got, told(rec))
	}
	want := []string{
		"12:00:00 start: a manager began, and knew of no instance",
		"12:00:00 policy: policy 1 (always) begins to hold",
		"12:00:00 create: created 2: needed 2 = leased 0 + waiting 2 + idle target 0 (policy 1, always); supply 0; max_instances leaves 2 → " +
			"2 appeared: i-1, i-2, all ready after 4s",
	}
	for i, w := range want {
		if i >= len(got) || got[i] != w {
			t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), w)
		}
	}
}
