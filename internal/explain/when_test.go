package explain_test

import (
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/explain"
)

func TestWhen(t *testing.T) {
	now := time.Date(2026, 3, 29, 14, 5, 10, 0, seoul)
	for text, want := range map[string]string{
		"2026-03-02T14:05:00+01:00": "2026-03-02T22:05:00+09:00",
		"2026-03-02T14:05:00.5Z":    "2026-03-02T23:05:00+09:00",
		"2026-03-02 14:05":          "2026-03-02T14:05:00+09:00",
		"2026-03-02 14:05:09":       "2026-03-02T14:05:09+09:00",
		"2026-03-02T14:05":          "2026-03-02T14:05:00+09:00",
		"14:05:10":                  "2026-03-29T14:05:10+09:00",
		"14:05:11":                  "2026-03-28T14:05:11+09:00",
		" 09:30 ":                   "2026-03-29T09:30:00+09:00",
		"23:59":                     "2026-03-28T23:59:00+09:00",
		"-10m":                      "2026-03-29T13:55:10+09:00",
		"-1h30m":                    "2026-03-29T12:35:10+09:00",
		"-0s":                       "2026-03-29T14:05:10+09:00",
	} {
		got, err := explain.When(text, now)
		if err != nil || got.In(seoul).Format(time.RFC3339) != want {
			t.Errorf("%q: %s, %v, want %s", text, got.In(seoul).Format(time.RFC3339), err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "25:00", "14:60", "10m", "--10m", "2026-02-30 12:00", "-", "14"} {
		if got, err := explain.When(text, now); err == nil {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}

func FuzzWhen(f *testing.F) {
	for _, s := range []string{"2026-03-02T14:05:00+01:00", "2026-03-02 14:05", "14:05:10", "02:30", "-10m", "-9999999h", "x"} {
		f.Add(s, int64(1774760710))
	}
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		now := time.Unix(unix%(1<<36), 0).In(zone)
		at, err := explain.When(text, now)
		if err != nil {
			if err.Error() == "" || !at.IsZero() {
				t.Errorf("%q: %s, %v", text, at, err)
			}
			return
		}
		again, err := explain.When(at.Format(time.RFC3339Nano), now)
		if y := at.Year(); err != nil && y >= 0 && y <= 9999 {
			t.Errorf("%q was read as %s, which cannot be read: %v", text, at, err)
		} else if err == nil && again.Sub(at).Abs() >= time.Minute { // zones once had seconds, which RFC 3339 has not
			t.Errorf("%q: %s, then %s", text, at, again)
		}
		if len(text) > 0 && len(text) <= 8 && text[0] != '-' { // a time of day: the last time that the clock showed it
			if at.After(now) || now.Sub(at) > 49*time.Hour {
				t.Errorf("%q at %s: %s", text, now, at)
			}
		}
	})
}
