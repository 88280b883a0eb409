package observe

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Sizing returns the numbers of a decision: "needed 17 = leased 9 + waiting 4 + idle target 4 (policy 2, mon-fri 08-18 Asia/Seoul); supply 14;
// max_instances leaves 6; throttle allowed 3 of 3". name is the policy's name, from [PolicyName]. burst is the throttle's burst; 0: unknown.
func Sizing(d *policy.Decision, name string, burst int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "needed %d = leased %d + waiting %d + idle target %d (%s); supply %d", d.Needed, d.Leases, d.Waiters, d.IdleTarget, name, d.Supply)
	if d.Missing == 0 {
		return b.String()
	}
	if d.PerInstance > 1 {
		fmt.Fprintf(&b, "; missing %d = %s of %d slots", d.Missing, words.Count(d.Wanted, "instance"), d.PerInstance)
	}
	if d.Room >= 0 {
		fmt.Fprintf(&b, "; %s leaves %d", boundName(d.RoomBy), d.Room)
	}
	if d.Allowed >= 0 {
		fmt.Fprintf(&b, "; throttle allowed %d", d.Allowed)
		if burst > 0 {
			fmt.Fprintf(&b, " of %d", burst)
		}
	}
	if d.Breaker {
		fmt.Fprintf(&b, "; the runaway breaker allowed %d", d.Canaries)
	}
	return b.String()
}

// Wanted is Sizing for a decision that may need no instance.
func Wanted(d *policy.Decision, name string, burst int) string {
	text := Sizing(d, name, burst)
	if d.Missing == 0 {
		text += "; nothing to create"
	}
	return text
}

// Held says how many of the wanted instances of d are not created, and why.
func Held(d *policy.Decision, cause record.Cause) string {
	return fmt.Sprintf("%d of %s, because %s", d.Wanted-d.Grow, words.Count(d.Wanted, "needed instance"), Retire(cause))
}

// Breaker says that the runaway breaker is open, after this number of failures in a row.
func Breaker(failures int) string {
	return fmt.Sprintf("the runaway breaker is open: %d instances in a row failed; one instance at a time is created until one works", failures)
}

// Latest returns the words to append to the reason why creates are held back. words are those of the latest failed create or preparation, or "".
func Latest(words string) string {
	if words == "" {
		return ""
	}
	return "; the latest failure: " + words
}

// LimitName names the limit in force: max_instances, if that is ours, or the provider's limit.
func LimitName(inForce, ours int) string {
	if ours > 0 && ours <= inForce {
		return fmt.Sprintf("max_instances (%d)", inForce)
	}
	return fmt.Sprintf("the provider's limit (%d)", inForce)
}

func boundName(b policy.Bound) string {
	if b == policy.BoundProviderMax {
		return "the provider's limit"
	}
	return b.String()
}

// PolicyName names the policy at index: its position, starting at 1, its periods and its time zone.
func PolicyName(index int, all []policy.Policy) string {
	if index < 0 {
		return "no policy matches"
	}
	name := fmt.Sprintf("policy %d", index+1)
	if index >= len(all) {
		return name
	}
	p := &all[index]
	periods := Periods(p.Periods)
	if periods != "always" && p.Timezone != "" {
		periods += " " + p.Timezone
	}
	return name + ", " + periods
}

// Periods returns a short form of cron masks that only name hours and weekdays: "mon-fri 08-18" for "* 8-17 * * mon-fri". Other masks are
// quoted unchanged.
func Periods(masks []string) string {
	if len(masks) == 0 {
		return "always"
	}
	words := make([]string, 0, len(masks))
	for _, m := range masks {
		w := period(m)
		if w == "always" {
			return w
		}
		words = append(words, w)
	}
	return strings.Join(words, ", ")
}

func period(mask string) string {
	f := strings.Fields(mask)
	if len(f) != 5 || f[0] != "*" || f[2] != "*" || f[3] != "*" {
		return strconv.Quote(mask)
	}
	hours, okHours := hourRange(f[1])
	days, okDays := weekdays(f[4])
	switch {
	case !okHours || !okDays:
		return strconv.Quote(mask)
	case hours == "" && days == "":
		return "always"
	case hours == "":
		return days
	case days == "":
		return hours
	}
	return days + " " + hours
}

// hourRange returns the hours of an hour field, from the begin of the first to the end of the last: "08-18" for "8-17". "" is every hour.
func hourRange(field string) (string, bool) {
	if field == "*" {
		return "", true
	}
	from, to, ranged := strings.Cut(field, "-")
	if !ranged {
		to = from
	}
	a, errA := strconv.Atoi(from)
	b, errB := strconv.Atoi(to)
	if errA != nil || errB != nil || a < 0 || b > 23 || a > b {
		return "", false
	}
	return fmt.Sprintf("%02d-%02d", a, b+1), true
}

var dayNames = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// weekdays returns the names of the days of a day-of-week field. "" is every day.
func weekdays(field string) (string, bool) {
	if field == "*" {
		return "", true
	}
	var list []string
	for _, part := range strings.Split(field, ",") {
		from, to, ranged := strings.Cut(part, "-")
		a, okA := day(from)
		b, okB := day(to)
		switch {
		case !okA || ranged && !okB:
			return "", false
		case ranged:
			a += "-" + b
		}
		list = append(list, a)
	}
	return strings.Join(list, ","), true
}

func day(s string) (string, bool) {
	s = strings.ToLower(s)
	for n, name := range dayNames {
		if s == name || s == strconv.Itoa(n) {
			return name, true
		}
	}
	return "", false
}
