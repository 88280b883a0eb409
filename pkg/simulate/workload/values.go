package workload

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// calendarFrom is the first Unix time, in seconds (March 1973). A smaller number counts from the start of the log.
const calendarFrom = 1e8

// unitOf returns the unit at the end of a column's name, 0 for none.
func unitOf(name string) time.Duration {
	for _, u := range []struct {
		ending string
		unit   time.Duration
	}{
		{"_ms", time.Millisecond}, {"_msec", time.Millisecond}, {"_millis", time.Millisecond}, {"_milliseconds", time.Millisecond},
		{"_us", time.Microsecond}, {"_micros", time.Microsecond}, {"_microseconds", time.Microsecond},
		{"_ns", time.Nanosecond}, {"_nanos", time.Nanosecond}, {"_nanoseconds", time.Nanosecond},
		{"_s", time.Second}, {"_sec", time.Second}, {"_secs", time.Second}, {"_seconds", time.Second},
		{"_min", time.Minute}, {"_mins", time.Minute}, {"_minutes", time.Minute},
		{"_h", time.Hour}, {"_hours", time.Hour},
	} {
		if strings.HasSuffix(name, u.ending) {
			return u.unit
		}
	}
	return 0
}

// number converts a number in a unit to ns. ok is false if the text is not a number or the value does not fit.
func number(text string, unit time.Duration) (ns int64, ok bool) {
	if v, err := strconv.ParseInt(text, 10, 64); err == nil {
		if v > math.MaxInt64/int64(unit) || v < math.MinInt64/int64(unit) {
			return 0, false
		}
		return v * int64(unit), true
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, false
	}
	whole, part := math.Modf(v)
	ns64 := whole*float64(unit) + math.Round(part*float64(unit))
	if !(math.Abs(ns64) < math.MaxInt64) {
		return 0, false
	}
	if math.Abs(whole) < 1<<53 { // a float64 is exact in this range
		return int64(whole)*int64(unit) + int64(math.Round(part*float64(unit))), true
	}
	return int64(ns64), true
}

// parseTime reads a point in time as ns: Unix time, or time from the start of the log.
func parseTime(text string, unit time.Duration, loc *time.Location) (ns int64, calendar, ok bool) {
	if text == "" {
		return 0, false, false
	}
	if c := text[0]; c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' {
		guess := unit
		if unit == 0 {
			guess = unitBySize(text)
		}
		if ns, ok = number(text, guess); ok {
			return ns, ns >= calendarFrom*int64(time.Second), true
		}
	}
	if t, ok := parseDate(text, loc); ok {
		if y := t.Year(); y < 1970 || y > 2200 {
			return 0, true, false
		}
		return t.UnixNano(), true, true
	}
	if ns, ok = parseSpan(text, 0); ok {
		return ns, false, true
	}
	return 0, false, false
}

// TimeForms lists the accepted forms of a point in time, for messages.
const TimeForms = "2026-03-02T08:00:00Z, 2026-03-02 08:00:00+00, a Unix time, or a time from the start of the log such as 90m"

// zones are the ways to write a time zone after a date and a time, in the layouts of package time. Databases write an offset of hours only.
var zones = [...]string{"Z07:00", "-0700", "-07", " Z07:00", " -0700", " -07", " UTC", ""}

// parseDate reads a date with a time of day. A text without a zone is in loc.
func parseDate(text string, loc *time.Location) (time.Time, bool) {
	const dateLength = len("2006-01-02")
	if len(text) <= dateLength || text[4] != '-' {
		return time.Time{}, false
	}
	for _, clock := range [...]string{"15:04:05.999999999", "15:04"} {
		for _, zone := range zones {
			if t, err := time.ParseInLocation("2006-01-02"+text[dateLength:dateLength+1]+clock+zone, text, loc); err == nil {
				return t, text[dateLength] == 'T' || text[dateLength] == 't' || text[dateLength] == ' '
			}
		}
	}
	return time.Time{}, false
}

// unitBySize is the unit of a bare number that is a point in time. Current Unix times have 10 digits in s, 13 in ms, 16 in µs and 19 in ns.
func unitBySize(text string) time.Duration {
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || v < 1e11:
		return time.Second
	case v < 1e14:
		return time.Millisecond
	case v < 1e17:
		return time.Microsecond
	}
	return time.Nanosecond
}

// parseSpan reads a length of time as ns: a number in the unit (0: a number must have a unit), a text such as 1h30m, 2d or 1w, or h:mm:ss.
func parseSpan(text string, unit time.Duration) (ns int64, ok bool) {
	if unit > 0 {
		if ns, ok = number(text, unit); ok {
			return ns, true
		}
	}
	if strings.IndexByte(text, ':') > 0 {
		return parseClock(text)
	}
	rest, negative := strings.CutPrefix(text, "-")
	var total float64
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if n <= 0 {
			return 0, false
		}
		v, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return 0, false
		}
		rest = rest[n:]
		m := strings.IndexFunc(rest, func(r rune) bool { return r >= '0' && r <= '9' || r == '.' })
		if m < 0 {
			m = len(rest)
		}
		u := spanUnit(rest[:m])
		if u == 0 {
			return 0, false
		}
		total += v * float64(u)
		rest = rest[m:]
	}
	if text == "" || text == "-" || total >= math.MaxInt64 {
		return 0, false
	}
	if negative {
		total = -total
	}
	return int64(math.Round(total)), true
}

func spanUnit(name string) time.Duration {
	switch name {
	case "ns":
		return time.Nanosecond
	case "us", "µs", "μs":
		return time.Microsecond
	case "ms":
		return time.Millisecond
	case "s":
		return time.Second
	case "m":
		return time.Minute
	case "h":
		return time.Hour
	case "d":
		return day
	case "w":
		return week
	}
	return 0
}

// parseClock reads h:mm:ss or mm:ss.
func parseClock(text string) (int64, bool) {
	parts := strings.Split(text, ":")
	if len(parts) > 3 {
		return 0, false
	}
	total := 0.0
	for i, p := range parts {
		v, err := strconv.ParseFloat(p, 64)
		if err != nil || !(v >= 0) || i > 0 && v >= 60 || p[0] == '+' {
			return 0, false
		}
		total = total*60 + v
	}
	if total*1e9 >= math.MaxInt64 {
		return 0, false
	}
	return seconds(total), true
}
