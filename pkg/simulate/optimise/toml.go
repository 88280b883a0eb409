package optimise

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// TOML writes the chosen policy as tables of a config.toml, with its evidence in comments. source is the name of the trace. Keys of
// [runners.autoscaler] and of its scale_throttle that differ from today's come first, because a file can have these sections only once.
func (r *Recommendation) TOML(w io.Writer, source string) error {
	var b strings.Builder
	r.evidence(func(format string, args ...any) { comment(&b, format, args...) }, source)
	best, today := r.Best().Setup, r.Points[r.Today].Setup
	changed, throttle := changes(today, best), best.Throttle != today.Throttle
	if len(changed) > 0 || throttle {
		comment(&b, "Add these keys to the sections that exist already:")
	}
	if len(changed) > 0 {
		b.WriteString("[runners.autoscaler]\n" + strings.Join(changed, "\n") + "\n\n")
	}
	if throttle {
		b.WriteString("[runners.autoscaler.scale_throttle]\n" + throttleText(best.Throttle) + "\n")
	}
	for i, p := range best.Policies {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(policyText(p))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// comment writes a comment line. Whatever the values contain, the result stays one comment.
func comment(b *strings.Builder, format string, args ...any) {
	_, _ = safetext.Fprintf(b, "# "+format+"\n", args...)
}

func (r *Recommendation) evidence(say func(format string, args ...any), source string) {
	best, today := r.Best(), &r.Points[r.Today]
	var slo []string
	for _, a := range r.SLO {
		slo = append(slo, a.String())
	}
	say("Chosen for the lowest %s with %s.", r.Objective, strings.Join(slo, ", "))
	say("Evidence: %s, seed %d; %d jobs to learn from (%.0f runs over them), %d other jobs for the test.", source, r.Seed, r.TrainJobs, r.Runs, r.Holdout.Jobs)
	line := func(name string, f Figures) {
		text := fmt.Sprintf("%-22s mean wait %.1f s, p95 %.1f s, p99 %.1f s; %.1f instance-hours", name, f.MeanWait, f.P95Wait, f.P99Wait, f.InstanceHours)
		if r.Objective == Cost {
			text += fmt.Sprintf(", cost %.2f", f.Cost)
		}
		say("  %s, utilisation %.0f %%", text, f.Utilization*100)
	}
	line("training part:", best.Train)
	line("the same, today:", today.Train)
	line("rest (test):", r.Holdout.Chosen)
	line("the same, today:", r.Holdout.Today)
	if len(r.Holdout.Diffs) > 0 {
		say("Test, this minus today's, 95 %% intervals over %d blocks: mean wait %s s, p95 %s s, instance-hours %s.", r.Holdout.Samples,
			span(r.Holdout.Diffs["wait_seconds.mean"]), span(r.Holdout.Diffs["wait_seconds.p95"]), span(r.Holdout.Diffs["instance_hours.total"]))
	}
	for _, text := range r.Warnings {
		say("Warning: %s.", text)
	}
}

func span(i simulate.Interval) string {
	return fmt.Sprintf("%+.2f (%+.2f … %+.2f)", i.Mean, i.Low, i.High)
}

// changes are the lines of [runners.autoscaler] itself that differ.
func changes(today, best Setup) []string {
	var lines []string
	if best.Capacity != today.Capacity {
		lines = append(lines, fmt.Sprintf("capacity_per_instance = %d # was %d", best.Capacity, today.Capacity))
	}
	if best.MaxInstances != today.MaxInstances {
		lines = append(lines, fmt.Sprintf("max_instances = %d # was %d", best.MaxInstances, today.MaxInstances))
	}
	return lines
}

func throttleText(t policy.Throttle) string {
	text := "limit = " + number(t.Limit) + "\n"
	if t.Limit > 0 && t.Burst > 0 {
		text += fmt.Sprintf("burst = %d\n", t.Burst)
	}
	return text
}

// number is a float as TOML writes it.
func number(f float64) string {
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

func policyText(p policy.Policy) string {
	var b strings.Builder
	b.WriteString("[[runners.autoscaler.policy]]\n")
	periods := p.Periods
	if len(periods) == 0 {
		periods = []string{"* * * * *"}
	}
	quoted := make([]string, len(periods))
	for i, text := range periods {
		quoted[i] = quote(text)
	}
	fmt.Fprintf(&b, "periods = [%s]\n", strings.Join(quoted, ", "))
	if p.Timezone != "" && (!slices.Equal(periods, []string{"* * * * *"}) || p.Timezone != "UTC") {
		fmt.Fprintf(&b, "timezone = %s\n", quote(p.Timezone))
	}
	s := p.Settings
	fmt.Fprintf(&b, "idle_count = %d\nidle_time = %s\n", s.IdleCount, quote(words.Setting(s.IdleTime)))
	if s.ScaleFactor > 0 {
		fmt.Fprintf(&b, "scale_factor = %s\n", number(s.ScaleFactor))
		if s.ScaleFactorLimit > 0 {
			fmt.Fprintf(&b, "scale_factor_limit = %d\n", s.ScaleFactorLimit)
		}
		if s.ScaleFactorMode == policy.FactorAdd {
			fmt.Fprintf(&b, "scale_factor_mode = %s\n", quote(s.ScaleFactorMode.String()))
		}
	}
	fmt.Fprintf(&b, "preemptive_mode = %t\n", s.Preemptive)
	if t := s.Throttle; t != nil {
		b.WriteString("[runners.autoscaler.policy.scale_throttle]\n" + throttleText(*t))
	}
	return b.String()
}

// quote is a TOML basic string. The text has neither quotes nor control characters: it is a period or a zone that compiled.
func quote(text string) string { return strconv.Quote(text) }
