package policy

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/draw"
)

// The oracle is a second implementation of periods, written only from the rules. It goes from value to value with plain sets. It uses no
// masks, no parser and no search. It accepts only valid periods.

type oraclePeriod struct {
	minute, hour, day, month, weekday [64]bool
	both                              bool
}

func oracleRead(text string) oraclePeriod {
	f := strings.Fields(strings.ToLower(text))
	switch {
	case len(f) == 7:
		f = f[1:6]
	case len(f) == 6 && (f[0] == "*" || f[0] == "0") && strings.ContainsAny(f[5], "abcdefghijklmnopqrstuvwxyz0123456789"):
		f = f[1:]
	case len(f) == 6:
		f = f[:5]
	}
	return oraclePeriod{
		minute:  oracleSet(f[0], 0, 59, ""),
		hour:    oracleSet(f[1], 0, 23, ""),
		day:     oracleSet(f[2], 1, 31, ""),
		month:   oracleSet(f[3], 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"),
		weekday: oracleSet(f[4], 0, 6, "sun mon tue wed thu fri sat"),
		both:    strings.HasPrefix(f[2], "*") || strings.HasPrefix(f[4], "*"),
	}
}

// oracleSet goes through each member of a list from its first value to its last, past the end of the field if needed, and keeps every
// step-th value. Sunday at the end of a range is the next Sunday.
func oracleSet(text string, lowest, highest int, names string) (set [64]bool) {
	number := func(s string) int {
		for i, name := range strings.Fields(names) {
			if name == s {
				return lowest + i
			}
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			panic(err)
		}
		if n == 7 && highest == 6 {
			n = 0
		}
		return n
	}
	for _, member := range strings.Split(text, ",") {
		step := 1
		if i := strings.Index(member, "/"); i >= 0 {
			step, _ = strconv.Atoi(member[i+1:])
			if !strings.Contains(member, "-") && !strings.Contains(member, "*") {
				member = member[:i] + "-" + strconv.Itoa(highest)
			} else {
				member = member[:i]
			}
		}
		if member == "*" {
			member = fmt.Sprintf("%d-%d", lowest, highest)
		}
		first, last, _ := strings.Cut(member, "-")
		if last == "" {
			last = first
		}
		v, end := number(first), number(last)
		wholeWeek := highest == 6 && v == end && last == "7" && first != "7"
		for i := 0; ; i++ {
			if i%step == 0 {
				set[v] = true
			}
			if v == end && (!wholeWeek || i > 0) {
				break
			}
			if v++; v > highest {
				v = lowest
			}
		}
	}
	return set
}

func (p *oraclePeriod) matchesDay(month, day, weekday int) bool {
	if !p.month[month] {
		return false
	}
	if p.both {
		return p.day[day] && p.weekday[weekday]
	}
	return p.day[day] || p.weekday[weekday]
}

func (p *oraclePeriod) matches(month, day, weekday, hour, minute int) bool {
	return p.minute[minute] && p.hour[hour] && p.matchesDay(month, day, weekday)
}

type oraclePolicy struct {
	periods []oraclePeriod
	loc     *time.Location
}

func oracleCompile(policies []Policy, local *time.Location) []oraclePolicy {
	var out []oraclePolicy
	zones := map[string]*time.Location{}
	for _, p := range policies {
		o := oraclePolicy{loc: local}
		if p.Timezone != "" {
			if zones[p.Timezone] == nil {
				zones[p.Timezone], _ = time.LoadLocation(p.Timezone)
			}
			o.loc = zones[p.Timezone]
		}
		for _, text := range p.Periods {
			o.periods = append(o.periods, oracleRead(text))
		}
		if len(p.Periods) == 0 {
			o.periods = []oraclePeriod{oracleRead("* * * * *")}
		}
		out = append(out, o)
	}
	return out
}

// oracleIndex returns the winner at t, using the time package's own calendar.
func oracleIndex(policies []oraclePolicy, t time.Time) int {
	var loc *time.Location
	var month time.Month
	var weekday time.Weekday
	var day, hour, minute int
	winner := -1
	for i, p := range policies {
		if p.loc != loc {
			loc = p.loc
			l := t.In(loc)
			_, month, day = l.Date()
			hour, minute, _ = l.Clock()
			weekday = l.Weekday()
		}
		for j := range p.periods {
			if p.periods[j].matches(int(month), day, int(weekday), hour, minute) {
				winner = i
			}
		}
	}
	return winner
}

// compareWithOracle checks a period: some minutes of every kind of date, and every minute of some dates.
func compareWithOracle(t interface {
	Helper()
	Fatalf(string, ...any)
}, p Period, o oraclePeriod) {
	t.Helper()
	check := func(month, day, weekday, minuteOfDay int) {
		hour, minute := minuteOfDay/60, minuteOfDay%60
		got := p.Matches(time.Month(month), day, time.Weekday(weekday), hour, minute)
		if want := o.matches(month, day, weekday, hour, minute); got != want {
			t.Fatalf("%q: month %d, day %d, weekday %d, %02d:%02d: got %v, want %v", p, month, day, weekday, hour, minute, got, want)
		}
	}
	inside := 0 // a minute of the day that matches the clock fields, so that the date decides
	for m := range 1440 {
		if o.hour[m/60] && o.minute[m%60] {
			inside = m
			break
		}
	}
	for month := 1; month <= 12; month++ {
		for day := 1; day <= 31; day++ {
			for weekday := range 7 {
				check(month, day, weekday, inside)
				check(month, day, weekday, (month*day*97+weekday*31)%1440)
			}
		}
	}
	for m := range 1440 {
		for i := range 6 {
			check(1+(m+i*5)%12, 1+(m+i*7)%31, (m+i)%7, m)
		}
	}
}

// genField draws a valid field: lists, ranges that wrap or not, names, steps, and Sunday as 7.
func genField(t *draw.T, f *field) string {
	value := func(label string) string {
		top := f.max
		if f.max == 6 {
			top = 7
		}
		v := draw.Range(f.min, top).Draw(t, label)
		if f.names != nil && v <= f.max && draw.Bool().Draw(t, label+" named") {
			return f.names[v-f.min]
		}
		return strconv.Itoa(v)
	}
	member := func() string {
		s := ""
		switch draw.Range(0, 3).Draw(t, "kind") {
		case 0:
			s = "*"
		case 1:
			s = value("value")
		default:
			s = value("low") + "-" + value("high")
		}
		if draw.Range(0, 2).Draw(t, "stepped") == 0 {
			s += "/" + strconv.Itoa(draw.Range(1, f.max+3).Draw(t, "step"))
		}
		return s
	}
	if draw.Range(0, 2).Draw(t, "open") == 0 {
		return "*"
	}
	var members []string
	for range draw.Range(1, 3).Draw(t, "members") {
		members = append(members, member())
	}
	return strings.Join(members, ",")
}

func genPeriod(t *draw.T) string {
	var parts []string
	for i := range fields {
		parts = append(parts, genField(t, &fields[i]))
	}
	text := strings.Join(parts, " ")
	if draw.Bool().Draw(t, "upper") {
		text = strings.ToUpper(text)
	}
	return text
}

func TestOracleReadsPlainly(t *testing.T) {
	// The oracle itself is checked with some sets that were written by hand.
	for text, want := range map[string]string{
		"fri-sun": "YnnnnYY", "5-7/2": "YnnnnYn", "0-7": "YYYYYYY", "7-2": "YYYnnnn",
		"*/3": "YnnYnnY", "4/2": "nnnnYnY", "7": "Ynnnnnn", "7-7": "Ynnnnnn",
	} {
		got := ""
		set := oracleSet(text, 0, 6, "sun mon tue wed thu fri sat")
		for _, in := range set[:7] {
			got += map[bool]string{true: "Y", false: "n"}[in]
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
