package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

// count writes a whole number with thousands separators: 1,234,567.
func count(n int) string { return words.Thousands(strconv.Itoa(n)) }

// amount writes a number with about three significant digits and thousands separators.
func amount(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a >= 1000:
		return words.Thousands(strconv.FormatFloat(v, 'f', 0, 64))
	case a >= 100:
		return rounded(v, 1)
	case a >= 0.1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// money writes an amount in the currency of the price: two decimals, more if the amount is tiny.
func money(v float64) string {
	if a := math.Abs(v); a > 0 && a < 0.1 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return words.Thousands(strconv.FormatFloat(v, 'f', 2, 64))
}

// seconds writes a duration in a suitable unit: 0 s, 340 ms, 12.3 s, 4 m 05 s, 3 h 12 m, 2 d 04 h.
func seconds(sec float64) string {
	if sec < 0 {
		return "-" + seconds(-sec)
	}
	switch {
	case sec == 0:
		return "0 s"
	case sec < 0.001:
		return "< 1 ms"
	case sec < 0.9995:
		return strconv.FormatFloat(sec*1000, 'f', 0, 64) + " ms"
	case sec < 59.95:
		return rounded(sec, 1) + " s"
	case sec < 3599.5:
		n := int(math.Round(sec))
		return fmt.Sprintf("%d m %02d s", n/60, n%60)
	case sec < 24*3600-30:
		n := int(math.Round(sec / 60))
		return fmt.Sprintf("%d h %02d m", n/60, n%60)
	}
	n := int(math.Round(sec / 3600))
	return fmt.Sprintf("%s d %02d h", count(n/24), n%24)
}

// percent writes a share: 0 %, 0.42 %, 4.2 %, 42 %.
func percent(share float64) string {
	p := share * 100
	switch a := math.Abs(p); {
	case a == 0:
		return "0 %"
	case a < 0.01:
		return "< 0.01 %"
	case a < 1:
		return strconv.FormatFloat(p, 'f', 2, 64) + " %"
	case a < 9.95 || a > 99 && a < 99.95:
		return strconv.FormatFloat(p, 'f', 1, 64) + " %"
	}
	return strconv.FormatFloat(p, 'f', 0, 64) + " %"
}

// points writes the difference of two shares.
func points(share float64) string { return rounded(share*100, 1) + " points" }

// hours writes instance-hours.
func hours(h float64) string { return amount(h) + " h" }

// moment writes a wall clock time for people.
func moment(t time.Time) string { return t.Format("Mon 2 Jan 2006 15:04") }

// causeText describes a cause in words.
func causeText(cause string) string {
	switch cause {
	case "boot":
		return "an instance to boot"
	case "no_capacity": // only jobs that wait outside the core have it
		return "concurrent reached"
	case "provider_limit":
		return "the provider's limit reached"
	case "back_off":
		return "back-off after failures"
	case "max_instances":
		return "max_instances reached"
	case "throttle":
		return "scale_throttle"
	case "stock_out":
		return "stock-out"
	case "policy":
		return "policy creates nothing"
	}
	return strings.ReplaceAll(cause, "_", " ")
}

// policyName is the name of the policy with this index; −1 is no policy.
func (r *Report) policyName(index int) string {
	switch {
	case index < 0:
		return "no policy"
	case index < len(r.Policies) && r.Policies[index].Label != "":
		return r.Policies[index].Label
	}
	return "policy " + strconv.Itoa(index+1)
}

// settingsText describes the settings of a policy, with the keys of the configuration.
func settingsText(s policy.Settings) string {
	parts := []string{fmt.Sprintf("idle_count %d", s.IdleCount), "idle_time " + words.Setting(s.IdleTime)}
	if s.ScaleFactor != 0 {
		parts = append(parts, "scale_factor "+rounded(s.ScaleFactor, 4))
		if s.ScaleFactorLimit != 0 {
			parts = append(parts, fmt.Sprintf("scale_factor_limit %d", s.ScaleFactorLimit))
		}
		if s.ScaleFactorMode != policy.FactorMax {
			parts = append(parts, "scale_factor_mode "+s.ScaleFactorMode.String())
		}
	}
	if s.Preemptive {
		parts = append(parts, "preemptive_mode")
	}
	if t := s.Throttle; t != nil {
		parts = append(parts, fmt.Sprintf("scale_throttle %s/s, burst %d", rounded(t.Limit, 4), t.Burst))
	}
	return strings.Join(parts, ", ")
}
