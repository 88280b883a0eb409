package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/taskscaler/taskscaler/internal/draw"
)

func codes(notices []Notice) string {
	var out []string
	for _, n := range notices {
		out = append(out, n.Code)
	}
	return strings.Join(out, " ")
}

// TestPeriodTable is the specification of periods: normalised text and notices are written by hand, the minutes come from the oracle.
func TestPeriodTable(t *testing.T) {
	for _, c := range []struct{ text, normal, notices string }{
		{"* * * * *", "* * * * *", ""},
		{"  *\t* * *  * ", "* * * * *", ""},
		{"* 8-17 * * mon-fri", "* 8-17 * * mon-fri", ""},
		{"* 8-17 * * MON-Fri", "* 8-17 * * mon-fri", ""},
		{"* 0-8,18-23 * * mon-fri", "* 0-8,18-23 * * mon-fri", ""},
		{"*/5 * * * *", "*/5 * * * *", ""},
		{"10-40/7 * * * *", "10-40/7 * * * *", ""},
		{"30/10 * * * *", "30/10 * * * *", ""},
		{"00-09 05 * * *", "0-9 5 * * *", ""},
		{"* * 1 * mon", "* * 1 * mon", ""},       // no star in either field: one must match
		{"* * */2 * mon", "* * */2 * mon", ""},   // a star with a step: both must match
		{"* * 1 * */2", "* * 1 * */2", ""},       // the same on the other side
		{"* * 1,* * mon", "* * 1,* * mon", ""},   // a star that is not first does not count
		{"* * *,1 * mon", "* * *,1 * mon", ""},   // a star that is first counts
		{"* * 1-31 * mon", "* * 1-31 * mon", ""}, // all days, but no star: every day matches
		{"* * * feb *", "* * * feb *", ""},
		{"* * 29 2 *", "* * 29 2 *", ""},
		{"* * * * 7", "* * * * 0", ""},
		{"* * * * sun", "* * * * sun", ""},
		{"* * * * 7,1", "* * * * 0,1", ""},
		{"* * * * 7-3", "* * * * 0-3", ""},
		{"* * * * 7-7", "* * * * 0-0", ""},
		{"* * * * 7/2", "* * * * 0/2", ""},
		{"* * * * 5-7", "* * * * 5-6,0", NoticeWrap},
		{"* * * * fri-sun", "* * * * fri-sat,sun", NoticeWrap},
		{"* * * * sat-mon", "* * * * sat,sun-mon", NoticeWrap},
		{"* * * * sat-sun", "* * * * sat,sun", NoticeWrap},
		{"* * * * 1-7", "* * * * 0-6", NoticeWrap},
		{"* * * * 0-7", "* * * * 0-6", NoticeWrap},
		{"* * * * fri-7/2", "* * * * sun,fri", NoticeWrap},
		{"* 22-6 * * *", "* 22-23,0-6 * * *", NoticeWrap},
		{"* 22-6/3 * * *", "* 1,4,22 * * *", NoticeWrap},
		{"50-10 * * * *", "50-59,0-10 * * * *", NoticeWrap},
		{"* * 25-5 * *", "* * 25-31,1-5 * *", NoticeWrap},
		{"* * * nov-feb *", "* * * nov-dec,jan-feb *", NoticeWrap},
		{"* 9-8 * * *", "* 0-23 * * *", NoticeWrap},
		{"*/90 * * * *", "*/90 * * * *", NoticeStep + " " + NoticeOneMinute},
		{"* */24 * * *", "* */24 * * *", NoticeStep},
		{"* * */31 * *", "* * */31 * *", NoticeStep},
		{"* 22-6/20 * * *", "* 22 * * *", NoticeStep + " " + NoticeWrap},
		{"0 9-17 * * *", "0 9-17 * * *", NoticeOneMinute},
		{"30-30 * * * *", "30-30 * * * *", NoticeOneMinute},
		{"* * 30 2 *", "* * 30 2 *", NoticeNever},
		{"* * 31 4,6,9,11 *", "* * 31 4,6,9,11 *", NoticeNever},
		{"* * * * * mon-fri *", "* * * * mon-fri", NoticeSevenFields},
		{"0 * 8-18 * * sat,sun *", "* 8-18 * * sat,sun", NoticeSevenFields},
		{"* * 8-18 * * fri-sun *", "* 8-18 * * fri-sat,sun", NoticeWrap + " " + NoticeSevenFields},
		{"* * * * * *", "* * * * *", NoticeSixFields},
		{"* */1 * * * *", "* */1 * * *", NoticeSixFields}, // two ways to read it, two texts, the same minutes
		{"* * * * * mon-fri", "* * * * mon-fri", NoticeSixFields},
		{"* 8-18 * * mon-fri *", "* 8-18 * * mon-fri", NoticeSixFields},
		{"0 * 8-18 * * 1-5", "* 8-18 * * 1-5", NoticeSixFields},
		{"15 8-18 * * mon *", "15 8-18 * * mon", NoticeSixFields + " " + NoticeOneMinute},
	} {
		t.Run(c.text, func(t *testing.T) {
			p, notices, err := ParsePeriod(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if p.String() != c.normal {
				t.Errorf("normalised: got %q, want %q", p, c.normal)
			}
			if codes(notices) != c.notices {
				t.Errorf("notices: got %q, want %q", codes(notices), c.notices)
			}
			for _, n := range notices {
				if n.Message == "" {
					t.Errorf("notice %s has no message", n.Code)
				}
			}
			compareWithOracle(t, p, oracleRead(c.text))
		})
	}
}

func TestPeriodRefused(t *testing.T) {
	for _, c := range []struct{ text, reason, remedy string }{
		{"", "has 0 fields", "write minute, hour"},
		{"* * * *", "has 4 fields", "write minute, hour"},
		{"* * * * * * * *", "has 8 fields", "write minute, hour"},
		{"TZ=UTC", "cannot contain a time zone", "timezone ="},
		{"TZ=Asia/Seoul * * * * *", "cannot contain a time zone", "timezone ="},
		{"CRON_TZ=UTC * * * * *", "cannot contain a time zone", "timezone ="},
		{"@daily", "a range of time", "five fields"},
		{"@every 1h", "a range of time", "five fields"},
		{"* * ? * *", "? is not supported", "write *"},
		{"* * L * *", "L (last)", "28-31"},
		{"* * 15W * *", "L (last)", "28-31"},
		{"* * LW * *", "L (last)", "28-31"},
		{"* * L-3 * *", "L (last)", "28-31"},
		{"* * * * 5L", "L (last)", "28-31"},
		{"* * * * friL", "L (last)", "28-31"},
		{"* * * * fri#2", "(#) is not supported", "1-7 for its first week"},
		{"60 * * * *", "minute 60 is out of range", "0 to 59"},
		{"* 24 * * *", "hour 24 is out of range", "0 to 23"},
		{"* * 0 * *", "day of month 0 is out of range", "1 to 31"},
		{"* * 32 * *", "day of month 32 is out of range", "1 to 31"},
		{"* * * 13 *", "month 13 is out of range", "1 to 12"},
		{"* * * * 8", "day of week 8 is out of range", "0 to 7"},
		{"* * * * 5-8", "day of week 8 is out of range", "0 to 7"},
		{"* * * * monday", `"monday" is not a valid day of week`, "such as mon"},
		{"* mon * * *", `"mon" is not a valid hour`, "0 to 23"},
		{"* * * mon *", `"mon" is not a valid month`, "such as feb"},
		{"+5 * * * *", `"+5" is not a valid minute`, "number"},
		{"1.5 * * * *", `"1.5" is not a valid minute`, "number"},
		{"99999999999999999999 * * * *", "is not a valid minute", "number"},
		{"-5 * * * *", "without an end, or", "both ends"},
		{"5- * * * *", "without an end, or", "both ends"},
		{"1-2-3 * * * *", `"2-3" is not a valid minute`, "number"},
		{"/5 * * * *", "a step without a start", "both ends"},
		{"*/0 * * * *", "is not a step", "*/15"},
		{"*/ * * * *", "is not a step", "*/15"},
		{"*/-5 * * * *", "is not a step", "*/15"},
		{"1/2/3 * * * *", "is not a step", "*/15"},
		{"*/99999999999999999999 * * * *", "is not a step", "*/15"},
		{"*-5 * * * *", "a range with *", "both ends"},
		{"5-* * * * *", "a range with *", "both ends"},
		{", * * * *", "empty list member", "remove the comma"},
		{"1,,2 * * * *", "empty list member", "remove the comma"},
		{"5 * * * * * *", "seconds field is \"5\"", "remove the seconds"},
		{"* * * * * * 2024", "year field is \"2024\"", "remove the year"},
		{"0 * * 30 2 25 *", "day of week 25", "0 to 7"},
		{"0 9 * * * 2024", "six fields that cannot be read", "five fields"},
		{"0 0 9 * * *", "two meanings", `"0 0 9 * *" or "0 9 * * *"`},
		{"* * 8-18 * * *", "two meanings", `"* * 8-18 * *" or "* 8-18 * * *"`},
	} {
		t.Run(c.text, func(t *testing.T) {
			p, notices, err := ParsePeriod(c.text)
			var pe *PeriodError
			if !errors.As(err, &pe) {
				t.Fatalf("got %q, %v, %v; want a *PeriodError", p, notices, err)
			}
			if pe.Text != c.text || pe.Policy != -1 || pe.Period != -1 {
				t.Errorf("text %q, policy %d, period %d", pe.Text, pe.Policy, pe.Period)
			}
			if !strings.Contains(pe.Reason, c.reason) {
				t.Errorf("reason %q lacks %q", pe.Reason, c.reason)
			}
			if !strings.Contains(pe.Remedy, c.remedy) {
				t.Errorf("remedy %q lacks %q", pe.Remedy, c.remedy)
			}
			if p != (Period{}) || notices != nil {
				t.Errorf("an error came with %q and %v", p, notices)
			}
		})
	}
}

func TestZeroPeriodHoldsNothing(t *testing.T) {
	var p Period
	for m := range 1440 {
		if p.Matches(time.January, 1, time.Monday, m/60, m%60) {
			t.Fatalf("minute %d is inside", m)
		}
	}
}

func TestMatchesOutOfRange(t *testing.T) {
	p, _, err := ParsePeriod("* * * * *")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][5]int{{0, 1, 1, 0, 0}, {13, 1, 1, 0, 0}, {1, 0, 1, 0, 0}, {1, 32, 1, 0, 0}, {1, 1, 7, 0, 0}, {1, 1, -1, 0, 0},
		{1, 1, 1, 24, 0}, {1, 1, 1, -1, 0}, {1, 1, 1, 0, 60}, {1, 1, 1, 0, -1}, {1 << 40, 1, 1, 0, 0}, {1, 1, 1, 0, 63}, {1, 1, 1, 0, 64}} {
		if p.Matches(time.Month(c[0]), c[1], time.Weekday(c[2]), c[3], c[4]) {
			t.Errorf("%v is inside", c)
		}
	}
}

func TestPeriodProperties(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		text := genPeriod(t)
		p, _, err := ParsePeriod(text)
		if err != nil {
			t.Fatal(err)
		}
		compareWithOracle(t, p, oracleRead(text))
		checkNormalForm(t, p)
	})
}

// checkNormalForm: the five-field form means the same, is its own five-field form, and the standard parser reads it alike.
func checkNormalForm(t interface {
	Helper()
	Fatalf(string, ...any)
}, p Period) {
	t.Helper()
	again, notices, err := ParsePeriod(p.String())
	if err != nil || again != p {
		t.Fatalf("%q read again: %q, %v", p, again, err)
	}
	for _, n := range notices {
		if slices.Contains([]string{NoticeWrap, NoticeSixFields, NoticeSevenFields}, n.Code) {
			t.Fatalf("%q still gets %s", p, n.Code)
		}
	}
	if _, err := cron.ParseStandard(p.String()); err != nil {
		t.Fatalf("the standard parser refuses %q: %v", p, err)
	}
}

// TestFormsAgree: a seconds field and a year field around any five fields change nothing.
func TestFormsAgree(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		five := genPeriod(t)
		p, _, err := ParsePeriod(five)
		if err != nil {
			t.Fatal(err)
		}
		second := draw.From([]string{"*", "0"}).Draw(t, "seconds")
		q, notices, err := ParsePeriod(second + " " + five + " *")
		if err != nil || q != p || !strings.Contains(codes(notices), NoticeSevenFields) {
			t.Fatalf("seven fields: %q, %v, %v", q, notices, err)
		}
		for _, six := range []string{second + " " + five, five + " *"} {
			q, notices, err := ParsePeriod(six)
			var pe *PeriodError
			switch {
			case err == nil && q.same(p) && strings.Contains(codes(notices), NoticeSixFields):
			case errors.As(err, &pe) && strings.Contains(pe.Reason, "two meanings") && strings.Contains(pe.Remedy, p.String()):
			default:
				t.Fatalf("six fields %q: %q, %v, %v", six, q, notices, err)
			}
		}
	})
}

func FuzzParsePeriod(f *testing.F) {
	for _, s := range []string{"* * * * *", "TZ=UTC", "CRON_TZ=", "* 22-6 * * fri-sun", "0 0 9 * * *", "* * * * * mon-fri *", "*/90 1,2-3/4 L W ?",
		"@every 1h", "* * * * 5-7/2", "1,, * * * *", "\u00a0* * * * *", "* * * * 7#2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, notices, err := ParsePeriod(text)
		if err != nil {
			var pe *PeriodError
			if !errors.As(err, &pe) || pe.Reason == "" || pe.Remedy == "" || pe.Text != text {
				t.Fatalf("%q: %#v", text, err)
			}
			return
		}
		for _, n := range notices {
			if n.Code == "" || n.Message == "" {
				t.Fatalf("%q: %#v", text, n)
			}
		}
		checkNormalForm(t, p)
	})
}
