package report

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"pgregory.net/rapid"
)

func TestFormat(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{seconds(0), "0 s"}, {seconds(0.0004), "< 1 ms"}, {seconds(0.34), "340 ms"}, {seconds(0.99951), "1 s"}, {seconds(12.34), "12.3 s"},
		{seconds(59.96), "1 m 00 s"}, {seconds(245), "4 m 05 s"}, {seconds(3599.6), "1 h 00 m"}, {seconds(11520), "3 h 12 m"},
		{seconds(86399), "1 d 00 h"}, {seconds(2*86400 + 4*3600), "2 d 04 h"}, {seconds(-245), "-4 m 05 s"},
		{count(1234567), "1,234,567"}, {count(-1234), "-1,234"}, {count(999), "999"},
		{amount(0), "0"}, {amount(12345.6), "12,346"}, {amount(123.45), "123.5"}, {amount(1.5), "1.50"}, {amount(0.01234), "0.0123"},
		{money(1234.5), "1,234.50"}, {money(0.0123), "0.0123"}, {money(0), "0.00"},
		{percent(0), "0 %"}, {percent(0.00001), "< 0.01 %"}, {percent(0.0042), "0.42 %"}, {percent(0.042), "4.2 %"}, {percent(0.42), "42 %"},
		{percent(0.995), "99.5 %"}, {percent(1), "100 %"},
		{signed(-3, seconds), "−3 s"}, {signed(3, seconds), "+3 s"}, {signed(0, seconds), "0 s"},
		{rounded(1.5000, 3), "1.5"}, {rounded(-0.0001, 3), "0"}, {rounded(100, 0), "100"},
		{words.Setting(15 * time.Minute), "15m"}, {words.Setting(2 * time.Hour), "2h"}, {words.Setting(90 * time.Second), "1m30s"},
		{settingsText(policy.Settings{IdleCount: 3, IdleTime: time.Hour, ScaleFactor: 1.5, ScaleFactorLimit: 9, ScaleFactorMode: policy.FactorAdd,
			Preemptive: true, Throttle: &policy.Throttle{Limit: 0.5, Burst: 4}}),
			"idle_count 3, idle_time 1h, scale_factor 1.5, scale_factor_limit 9, scale_factor_mode add, preemptive_mode, scale_throttle 0.5/s, burst 4"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestBar(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share, width := rapid.Float64Range(-1, 2).Draw(t, "share"), rapid.IntRange(1, 80).Draw(t, "width")
		n := utf8.RuneCountInString(bar(share, width))
		if n > width || share <= 0 && n > 0 || share > 0 && n == 0 || math.Abs(float64(n)-min(max(share, 0), 1)*float64(width)) > 1 {
			t.Errorf("bar(%v, %d) has %d cells", share, width, n)
		}
	})
}

func TestSpark(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		curve := rapid.SliceOf(rapid.Float64Range(0, 1e6)).Draw(t, "curve")
		width := rapid.IntRange(1, 100).Draw(t, "width")
		line, top := spark(curve, width)
		if n := utf8.RuneCountInString(line); n != min(width, len(curve)) {
			t.Errorf("%d cells for %d values in %d columns", n, len(curve), width)
		}
		if top > 0 && !strings.Contains(line, "█") {
			t.Errorf("the peak %v of %v is lost: %q", top, curve, line)
		}
	})
}
