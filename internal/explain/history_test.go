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

// told returns a record in one line.
func told(r *explain.Record) string {
	s := fmt.Sprintf("%s %s: %s", r.Time.Format(time.TimeOnly), r.Kind, r.Sentence)
	if r.Outcome != "" {
		s += " → " + r.Outcome
	}
	return s
}

// TestOneLife: the record of a create has its outcome. The record of a removal has its reason and how long it took.
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
		"12:00:00 start: a manager started; its state has no instances",
		"12:00:00 policy: policy 1 (always) starts to apply",
		"12:00:00 create: asked the provider for 2 instances: needed 2 = leased 0 + waiting 2 + idle target 0 (policy 1, always); supply 0; max_instances leaves 2 → " +
			"2 appeared: i-1, i-2, all ready after 4s",
	}
	for i, w := range want {
		if i >= len(got) || got[i] != w {
			t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), w)
		}
	}
}
