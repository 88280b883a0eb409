package explain

import (
	"fmt"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// When reads a time: RFC 3339, "2026-03-02 14:05" or with seconds, "14:05" or "14:05:10" (today, or yesterday if this time has not come yet
// today), or "-10m" for ten minutes ago. A time without a time zone is in the zone of now.
func When(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	if ago, ok := strings.CutPrefix(text, "-"); ok {
		d, err := time.ParseDuration(ago)
		if err != nil || d < 0 {
			return time.Time{}, &WhenError{text}
		}
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{time.TimeOnly, "15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return lastAt(t, now), nil
		}
	}
	return time.Time{}, &WhenError{text}
}

// lastAt returns the last time, not after now, at which the clock showed t's hour, minute and second.
func lastAt(t, now time.Time) time.Time {
	y, m, d := now.Date()
	on := func(day int) time.Time {
		return time.Date(y, m, day, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), now.Location())
	}
	if at := on(d); !at.After(now) {
		return at
	}
	return on(d - 1)
}

// WhenError says that a time cannot be read.
type WhenError struct{ Text string }

// Error shows the forms that can be read.
func (e *WhenError) Error() string {
	return fmt.Sprintf("%q is not a time: write 2026-03-02T14:05:00+01:00, \"2026-03-02 14:05\", 14:05:10 for today or yesterday, "+
		"or -10m for ten minutes ago", e.Text)
}

func id(s string) record.ID   { return record.ID(s) }
func key(s string) record.Key { return record.Key(s) }
