package words

import (
	"testing"
	"time"
)

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Count(0, "job"), "0 jobs"}, {Count(1, "job"), "1 job"}, {Count(2, "job"), "2 jobs"},
		{Plural(1, "life", "lives"), "1 life"}, {Plural(3, "life", "lives"), "3 lives"},
		{Span(0), "0s"}, {Span(1400 * time.Microsecond), "1ms"}, {Span(1234 * time.Millisecond), "1.23s"}, {Span(90*time.Second + time.Millisecond), "1m30s"},
		{Span(2 * time.Minute), "2m0s"},
		{Setting(15 * time.Minute), "15m"}, {Setting(2 * time.Hour), "2h"}, {Setting(90 * time.Second), "1m30s"}, {Setting(10 * time.Second), "10s"},
		{Setting(0), "0s"}, {Setting(time.Hour + 10*time.Minute), "1h10m"}, {Setting(time.Hour + time.Second), "1h0m1s"},
		{Thousands("1234567"), "1,234,567"}, {Thousands("-1234.50"), "-1,234.50"}, {Thousands("999"), "999"}, {Thousands("0.12345"), "0.12345"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestOrdinal(t *testing.T) {
	for n, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 112: "112th", 122: "122nd"} {
		if got := Ordinal(n); got != want {
			t.Errorf("Ordinal(%d) = %q", n, got)
		}
	}
}
