package config

import (
	"fmt"
	"strconv"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

// Describe says in words what each policy asks for, with counts in both units, jobs and instances.
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

// describeIdle is, for example, "idle_count 5 = 5 jobs = 2 instances of capacity 4".
func describeIdle(idle, capacity int) string {
	instances := idle / capacity
	if idle%capacity > 0 {
		instances++
	}
	return fmt.Sprintf("idle_count %d = %s = %s of capacity %d", idle, plural(idle, "job"), plural(instances, "instance"), capacity)
}

// describeFactor is the sizing rule for the idle target with the policy's numbers in it.
func describeFactor(s policy.Settings) string {
	factor := strconv.FormatFloat(s.ScaleFactor, 'g', -1, 64) + " × jobs"
	if s.ScaleFactorMode == policy.FactorAdd {
		if s.ScaleFactorLimit > 0 {
			return fmt.Sprintf("idle target = %d and %s, this part at most %d", s.IdleCount, factor, s.ScaleFactorLimit)
		}
		return fmt.Sprintf("idle target = %d and %s", s.IdleCount, factor)
	}
	text := fmt.Sprintf("idle target = larger of %d and %s", s.IdleCount, factor)
	if s.ScaleFactorLimit > 0 {
		text += fmt.Sprintf(", at most %d", s.ScaleFactorLimit)
		if s.ScaleFactorLimit <= s.IdleCount {
			text += fmt.Sprintf(" → always %d", s.IdleCount)
		}
	}
	return text
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
