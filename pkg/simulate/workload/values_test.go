package workload

import (
	"math"
	"testing"
	"time"
)

func TestParseSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90":      90 * time.Second,
		"1.5":     1500 * time.Millisecond,
		"-5":      -5 * time.Second,
		"1e3":     1000 * time.Second,
		"1h30m":   90 * time.Minute,
		"2d":      48 * time.Hour,
		"1w2d":    9 * day,
		"-1h":     -time.Hour,
		"250ms":   250 * time.Millisecond,
		"3us":     3 * time.Microsecond,
		"3µs":     3 * time.Microsecond,
		"7ns":     7,
		"0.5d":    12 * time.Hour,
		"2:30":    150 * time.Second,
		"1:00:00": time.Hour,
		"0:0:1.5": 1500 * time.Millisecond,
	} {
		if got, ok := parseSpan(text, time.Second); !ok || time.Duration(got) != want {
			t.Errorf("parseSpan(%q) = %v, %v; want %v", text, time.Duration(got), ok, want)
		}
	}
	for _, text := range []string{
		"", "-", "h", "5 parsecs", "1h30", "1..5s", "--1h", "1:60", "1:2:3:4", ":5", "5:", "1:-2", "1:+2", "+1:2", "NaN", "Inf", "1e400",
		"300000000w", "9999999999999", "99999999999:00:00", "1h-5m",
	} {
		if got, ok := parseSpan(text, time.Second); ok {
			t.Errorf("parseSpan(%q) = %v", text, time.Duration(got))
		}
	}
	if _, ok := parseSpan("90", 0); ok {
		t.Error("a number without a unit was taken where one is needed")
	}
}

func TestParseTime(t *testing.T) {
	want := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for _, text := range []string{
		"1772438400", "1772438400.0", "1772438400000", "1772438400000000", "1772438400000000000",
		"2026-03-02T08:00:00Z", "2026-03-02T17:00:00+09:00", "2026-03-02T17:00:00+0900", "2026-03-02 08:00:00", "2026-03-02 08:00:00 UTC",
		"2026-03-02 17:00:00 +0900", "2026-03-02 08:00:00Z", "2026-03-02T08:00:00", "2026-03-02 08:00", "2026-03-02T08:00:00.000000Z",
		"2026-03-02 08:00:00+00", "2026-03-02 08:00:00.0+00", "2026-03-02 17:00:00+09", "2026-03-02T03:00:00-05", "2026-03-02 08:00:00 +00",
		"2026-03-02 08:00:00+0000", "2026-03-02 13:30:00+05:30", "2026-03-02 08:00+00",
	} {
		if ns, calendar, ok := parseTime(text, 0, time.UTC); !ok || !calendar || ns != want.UnixNano() {
			t.Errorf("parseTime(%q) = %v, %v, %v", text, time.Unix(0, ns).UTC(), calendar, ok)
		}
	}
	for text, want := range map[string]time.Duration{
		"0": 0, "12.5": 12500 * time.Millisecond,
		"90m": 90 * time.Minute, "99999999": 99999999 * time.Second,
	} {
		if ns, calendar, ok := parseTime(text, 0, time.UTC); !ok || calendar || ns != int64(want) {
			t.Errorf("parseTime(%q) = %v, %v, %v; want %v from the start", text, time.Duration(ns), calendar, ok, want)
		}
	}
	for _, text := range []string{"", "yesterday", "2026-13-01T00:00:00Z", "1850-01-01T00:00:00Z", "3000-01-01T00:00:00Z", "1e300", "08:00pm",
		"2026-03-02 08:00:00 KST", "2026-03-02x08:00:00", "2026-03-02 08:00:00+0", "2026-03-02", "2026-03-02 08:00:00 UTC+1"} {
		if ns, _, ok := parseTime(text, 0, time.UTC); ok {
			t.Errorf("parseTime(%q) = %v", text, ns)
		}
	}
	if ns, _, ok := parseTime("5", time.Hour, time.UTC); !ok || ns != int64(5*time.Hour) {
		t.Errorf("5 in a column of hours is %v", time.Duration(ns))
	}
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	if ns, ok := number("1757006747.123456", time.Second); !ok || math.Abs(float64(ns-1757006747123456000)) > 300 {
		t.Errorf("%d, %v", ns, ok)
	}
	if ns, ok := number("1757006747123456789", 1); !ok || ns != 1757006747123456789 {
		t.Errorf("%d, %v", ns, ok)
	}
	for _, v := range []float64{1e30, -1e30} {
		if ns := seconds(v); ns != math.MaxInt64 && ns != math.MinInt64 {
			t.Errorf("%v s is %d ns", v, ns)
		}
	}
}

func TestUnitsOfNames(t *testing.T) {
	for name, want := range map[string]time.Duration{
		"duration_ms": time.Millisecond, "wait_seconds": time.Second, "run_time_min": time.Minute, "x_hours": time.Hour, "a_us": time.Microsecond,
		"t_ns": 1, "duration": 0, "items": 0, "runs": 0,
	} {
		if got := unitOf(normal(name)); got != want {
			t.Errorf("unitOf(%q) = %v, want %v", name, got, want)
		}
	}
	if got := withoutUnit("run_time_ms"); got != "run_time" {
		t.Errorf("withoutUnit = %q", got)
	}
}
