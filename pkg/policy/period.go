package policy

import (
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// starBit is the top bit of a mask of robfig/cron. It means that the field contained a star, but it is missing for */n. So we ignore it and
// keep either instead.
const starBit = 1 << 63

// Period is a set of local minutes, named by one line of five-field cron. The zero Period contains no minute.
type Period struct {
	minutes, hours, days, months, weekdays uint64 // bit v: value v is in the field
	// either: a day matches if the day of month or the day of week field matches, because neither begins with a star. Otherwise both must
	// match. This is the rule of Vixie cron and cronie, where */2 counts as a star too.
	either bool
	text   string
}

// String returns the period as five fields that every cron implementation reads alike: names in lower case, Sunday as 0, no range that
// wraps.
func (p Period) String() string { return p.text }

// Matches reports whether the period contains the local minute with these components. It does not check that the weekday fits the date.
func (p Period) Matches(month time.Month, day int, weekday time.Weekday, hour, minute int) bool {
	return has(p.minutes, minute) && has(p.hours, hour) && p.matchesDay(int(month), day, int(weekday))
}

func (p Period) matchesDay(month, day, weekday int) bool {
	if !has(p.months, month) {
		return false
	}
	if p.either {
		return has(p.days, day) || has(p.weekdays, weekday)
	}
	return has(p.days, day) && has(p.weekdays, weekday)
}

// has reports whether v is in the mask. It is false for v outside 0–63.
func has(mask uint64, v int) bool { return uint(v) < 64 && mask&(1<<uint(v)) != 0 }

// same reports whether two periods contain the same minutes on every possible day.
func (p Period) same(q Period) bool {
	if p.minutes != q.minutes || p.hours != q.hours {
		return false
	}
	for month := 1; month <= 12; month++ {
		for day := 1; day <= daysIn[month-1]; day++ {
			for weekday := range 7 {
				if p.matchesDay(month, day, weekday) != q.matchesDay(month, day, weekday) {
					return false
				}
			}
		}
	}
	return true
}

// never reports whether the period contains no date that exists.
func (p Period) never() bool { return p.same(Period{minutes: p.minutes, hours: p.hours}) }

// ParsePeriod parses one period. Besides five fields it accepts the older forms with seven fields (seconds, the five, a year) and with six
// (seconds first, or a year last), if the extra fields restrict nothing: 0 or * for the seconds, * for the year. Notices warn about parts
// that may not mean what the author intended. An error is a [*PeriodError] without a position.
func ParsePeriod(text string) (Period, []Notice, error) {
	p, notices, bad := parse(text)
	if bad != nil {
		return Period{}, nil, &PeriodError{Policy: -1, Period: -1, Text: text, Reason: bad.reason, Remedy: bad.remedy}
	}
	if bits.OnesCount64(p.minutes) == 1 {
		_, rest, _ := strings.Cut(p.text, " ")
		notices = append(notices, Notice{NoticeOneMinute,
			fmt.Sprintf("%q matches one minute of each hour; for whole hours write %q", p.text, "* "+rest)})
	}
	if p.never() {
		notices = append(notices, Notice{NoticeNever, fmt.Sprintf("%q never matches: there is no such date", p.text)})
	}
	return p, notices, nil
}

func parse(text string) (Period, []Notice, *fault) {
	if bad := refuse(text); bad != nil {
		return Period{}, nil, bad
	}
	parts := strings.Fields(text)
	switch len(parts) {
	case 5:
		return parseFive(parts)
	case 6:
		return parseSix(parts)
	case 7:
		return parseSeven(parts)
	}
	return Period{}, nil, faultf(`write minute, hour, day of month, month and day of week, such as "* 8-17 * * mon-fri"`,
		"it has %d fields, not 5", len(parts))
}

// refuse rejects what the cron parser would accept silently or panic on.
func refuse(text string) *fault {
	switch {
	case strings.Contains(text, "="):
		return faultf(`remove it and set timezone = "Area/City" in the policy`, "a period cannot contain a time zone")
	case strings.Contains(text, "@"):
		return faultf(`write the five fields, such as "* * * * *"`, "words such as @daily name a moment, but a period is a range of time")
	case strings.Contains(text, "?"):
		return faultf("write * for a field that may be anything", "? is not supported")
	}
	return nil
}

var parser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// parseFive normalises each field and parses the normalised text, so what String returns is what the period means.
func parseFive(parts []string) (Period, []Notice, *fault) {
	var notices []Notice
	normal := make([]string, len(fields))
	for i := range fields {
		text, ns, bad := fields[i].normalise(parts[i])
		if bad != nil {
			return Period{}, nil, bad
		}
		normal[i], notices = text, append(notices, ns...)
	}
	text := strings.Join(normal, " ")
	parsed, err := parser.Parse(text)
	spec, ok := parsed.(*cron.SpecSchedule)
	if err != nil || !ok {
		return Period{}, nil, faultf("write five fields of numbers, ranges, lists and steps", "%q cannot be read: %v", text, err)
	}
	return Period{
		minutes: spec.Minute &^ starBit, hours: spec.Hour &^ starBit, days: spec.Dom &^ starBit,
		months: spec.Month &^ starBit, weekdays: spec.Dow &^ starBit,
		either: normal[dayField][0] != '*' && normal[weekdayField][0] != '*',
		text:   text,
	}, notices, nil
}

func parseSeven(parts []string) (Period, []Notice, *fault) {
	if bad := seconds(parts[0]); bad != nil {
		return Period{}, nil, bad
	}
	if bad := year(parts[6]); bad != nil {
		return Period{}, nil, bad
	}
	p, notices, bad := parseFive(parts[1:6])
	if bad != nil {
		return Period{}, nil, bad
	}
	return p, append(notices, Notice{NoticeSevenFields,
		fmt.Sprintf("a period has five fields: without seconds and year it is %q", p.text)}), nil
}

// parseSix decides between the two dialects with six fields: the five and a year (docker+machine), or seconds and the five.
func parseSix(parts []string) (Period, []Notice, *fault) {
	a, aNotices, aBad := parseSide(parts[:5], year(parts[5]))
	b, bNotices, bBad := parseSide(parts[1:], seconds(parts[0]))
	switch {
	case aBad != nil && bBad != nil:
		return Period{}, nil, faultf("write five fields: minute, hour, day of month, month and day of week",
			"six fields that cannot be read: with a year last, %s; with seconds first, %s", aBad.reason, bBad.reason)
	case aBad == nil && bBad == nil && !a.same(b):
		return Period{}, nil, faultf(fmt.Sprintf("write five fields: %q or %q", a.text, b.text),
			"six fields with two meanings: with a year last it is %q, with seconds first %q", a.text, b.text)
	case aBad == nil:
		return a, append(aNotices, Notice{NoticeSixFields, fmt.Sprintf("a period has five fields: without the year it is %q", a.text)}), nil
	default:
		return b, append(bNotices, Notice{NoticeSixFields, fmt.Sprintf("a period has five fields: without seconds it is %q", b.text)}), nil
	}
}

func parseSide(parts []string, extra *fault) (Period, []Notice, *fault) {
	if extra != nil {
		return Period{}, nil, extra
	}
	return parseFive(parts)
}

func seconds(text string) *fault {
	if text == "*" || text == "0" {
		return nil
	}
	return faultf("remove the seconds field: a period is made of whole minutes", "the seconds field is %q, not * or 0", text)
}

func year(text string) *fault {
	if text == "*" {
		return nil
	}
	return faultf("remove the year field: a period comes every year", "the year field is %q, not *", text)
}
