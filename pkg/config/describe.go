package config

import (
	"fmt"
	"strconv"

	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

// Describe returns one line for each policy: what it asks for, counted in jobs and in instances.
func (a *Autoscaler) Describe() []string {
	var out []string
	for i, p := range a.Policies {
		text := fmt.Sprintf("policy %d: %s", i+1, describeIdle(p.IdleCount, a.CapacityPerInstance))
		if p.ScaleFactor > 0 {
			text += "; " + describeFactor(p.Settings)
		}
		out = append(out, text)
	}
	return out
}

// describeIdle returns, for example, "idle_count 5 = 5 jobs = 2 instances of capacity 4".
func describeIdle(idle, capacity int) string {
	instances := idle / capacity
	if idle%capacity > 0 {
		instances++
	}
	return fmt.Sprintf("idle_count %d = %s = %s of capacity %d", idle, words.Count(idle, "job"), words.Count(instances, "instance"), capacity)
}

// describeFactor returns the formula of the idle target with the policy's numbers in it, for example
// "idle target = max(4, min(1.5 × jobs, 30))".
func describeFactor(s policy.Settings) string {
	factor := strconv.FormatFloat(s.ScaleFactor, 'g', -1, 64) + " × jobs"
	if s.ScaleFactorLimit > 0 {
		factor = fmt.Sprintf("min(%s, %d)", factor, s.ScaleFactorLimit)
	}
	if s.ScaleFactorMode == policy.FactorAdd {
		return fmt.Sprintf("idle target = %d + %s", s.IdleCount, factor)
	}
	text := fmt.Sprintf("idle target = max(%d, %s)", s.IdleCount, factor)
	if s.ScaleFactorLimit > 0 && s.ScaleFactorLimit <= s.IdleCount {
		text += fmt.Sprintf(" = always %d", s.IdleCount)
	}
	return text
}
