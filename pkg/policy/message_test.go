package policy

import (
	"errors"
	"testing"
)

// TestNoticeMessages pins the complete text of notices.
func TestNoticeMessages(t *testing.T) {
	for _, c := range []struct{ text, code, message string }{
		{"* * * * * mon-fri *", NoticeSevenFields, `a period has five fields: without seconds and year it is "* * * * mon-fri"`},
		{"* * * * * sat,sun *", NoticeSevenFields, `a period has five fields: without seconds and year it is "* * * * sat,sun"`},
		{"* 8-18 * * mon-fri *", NoticeSixFields, `a period has five fields: without the year it is "* 8-18 * * mon-fri"`},
		{"0 * 8-18 * * mon-fri", NoticeSixFields, `a period has five fields: without seconds it is "* 8-18 * * mon-fri"`},
		{"* 22-6 * * *", NoticeWrap, `the range "22-6" runs past the end of the hour field: it is read as 22-23,0-6`},
		{"* * * * Fri-Sun", NoticeWrap, `the range "fri-sun" runs past the end of the day of week field: it is read as fri-sat,sun`},
		{"* * * * 1-7", NoticeWrap, `the range "1-7" ends with 7, which means Sunday: it is read as 0-6`},
		{"* * * * 5-7", NoticeWrap, `the range "5-7" ends with 7, which means Sunday: it is read as 5-6,0`},
		{"* * * oct-feb/2 *", NoticeWrap, `the range "oct-feb/2" runs past the end of the month field: it is read as feb,oct,dec`},
		{"*/90 8 * * *", NoticeStep, `the step of "*/90" is beyond the range of the minute field: only 0 is left`},
		{"* * * * mon-wed/3", NoticeStep, `the step of "mon-wed/3" is beyond the range of the day of week field: only mon is left`},
		{"0 9-17 * * *", NoticeOneMinute, `"0 9-17 * * *" matches one minute of each hour; for whole hours write "* 9-17 * * *"`},
		{"* * 30 feb *", NoticeNever, `"* * 30 feb *" never matches: there is no such date`},
	} {
		_, notices, err := ParsePeriod(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if notices[0] != (Notice{c.code, c.message}) {
			t.Errorf("%s: got %+v\nwant %s", c.text, notices[0], c.message)
		}
	}
}

func TestErrorMessages(t *testing.T) {
	cause := errors.New("unknown time zone Mars")
	for _, c := range []struct {
		err  error
		want string
	}{
		{&PeriodError{Policy: 0, Period: 1, Text: "* 24 * * *", Reason: "hour 24 is out of range", Remedy: "write a value from 0 to 23"},
			`policy 1, period 2 "* 24 * * *": hour 24 is out of range; write a value from 0 to 23`},
		{&PeriodError{Policy: -1, Period: -1, Text: "x", Reason: "no"}, `period "x": no`},
		{&PeriodError{Policy: -1, Period: 0, Text: "a\nb", Reason: "no", Remedy: "yes"}, `period 1 "a\nb": no; yes`},
		{&ZoneError{Policy: 2, Text: "Mars", Reason: "no such zone", Remedy: "write another", Err: cause},
			`policy 3, timezone "Mars": no such zone; write another`},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %s\nwant %s", got, c.want)
		}
	}
	if err := error(&ZoneError{Err: cause}); !errors.Is(err, cause) {
		t.Error("errors.Is does not find the database's error")
	}
}

// TestDecisionMessages pins the complete text of decisions.
func TestDecisionMessages(t *testing.T) {
	four := Settings{IdleCount: 4}
	for _, c := range []struct {
		d    Decision
		want string
	}{
		{Decision{}, "needed 0 = leased 0 + waiting 0 + idle target 0; supply 0; nothing to create"},
		{Size(four, Limits{MaxInstances: 20}, Demand{Leases: 9, Waiters: 4, Free: 5, Existing: 14}, Allowance{Throttle: 3}),
			"needed 17 = leased 9 + waiting 4 + idle target 4; supply 14; missing 3 = 3 instances of 1; " +
				"max_instances leaves 6; throttle allowed 3; grow 3"},
		{Size(four, Limits{Capacity: 10}, Demand{Waiters: 2}, Allowance{Throttle: -1}),
			"needed 6 = leased 0 + waiting 2 + idle target 4; supply 0; missing 6 = 1 instance of 10; grow 1"},
		{Size(four, Limits{ProviderMax: 3}, Demand{Waiters: 2, Existing: 2}, Allowance{Throttle: -1, Blocked: true}),
			"needed 6 = leased 0 + waiting 2 + idle target 4; supply 0; missing 6 = 6 instances of 1; " +
				"provider_max leaves 1; creates are paused; grow 0, bound by blocked"},
	} {
		if got := c.d.String(); got != c.want {
			t.Errorf("got %s\nwant %s", got, c.want)
		}
	}
}
