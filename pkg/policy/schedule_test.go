package policy

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func mustCompile(t testing.TB, policies []Policy, local *time.Location) *Schedule {
	t.Helper()
	s, err := Compile(policies, local)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// on returns a policy with these periods.
func on(zone string, periods ...string) Policy { return Policy{Periods: periods, Timezone: zone} }

func TestNilScheduleIsDefault(t *testing.T) {
	var s *Schedule
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	want := Active{Index: -1, Settings: Settings{IdleTime: 5 * time.Minute}}
	if got := s.At(now); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if next, ok := s.NextChange(now); ok {
		t.Errorf("a change at %v", next)
	}
	if s.Len() != 0 || s.NeverHolds() != nil {
		t.Error("it has policies")
	}
	empty := mustCompile(t, nil, nil)
	if got := empty.At(now); got != want || empty.Len() != 0 {
		t.Errorf("compiled from nothing: got %+v", got)
	}
}

func TestLastMatchWins(t *testing.T) {
	s := mustCompile(t, []Policy{
		{Settings: Settings{IdleCount: 1}}, // no periods: always
		{Periods: []string{"* 8-17 * * mon-fri"}, Settings: Settings{IdleCount: 2, Throttle: &Throttle{Limit: 3, Burst: 4}}},
		{Periods: []string{"* 12 * * *", "30-59 16 * * *"}, Settings: Settings{IdleCount: 3}},
	}, time.UTC)
	for _, c := range []struct {
		at   string
		want int
	}{
		{"2026-03-02T07:59:59Z", 0}, {"2026-03-02T08:00:00Z", 1}, {"2026-03-02T11:59:59Z", 1}, {"2026-03-02T12:00:00Z", 2},
		{"2026-03-02T13:00:00Z", 1}, {"2026-03-02T16:29:00Z", 1}, {"2026-03-02T16:30:00Z", 2}, {"2026-03-02T17:00:00Z", 1},
		{"2026-03-02T18:00:00Z", 0}, {"2026-03-01T09:00:00Z", 0}, {"2026-03-01T12:30:30.5Z", 2}, {"2026-03-02T08:00:00-01:00", 1},
		{"2026-03-02T08:00:00+01:00", 0},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.At(at); got.Index != c.want || got.Settings.IdleCount != c.want+1 {
			t.Errorf("%s: policy %d with idle_count %d, want policy %d", c.at, got.Index, got.Settings.IdleCount, c.want)
		}
	}
	if s.Len() != 3 {
		t.Errorf("Len is %d", s.Len())
	}
}

func TestScheduleSharesNothing(t *testing.T) {
	policies := []Policy{{Settings: Settings{Throttle: &Throttle{Limit: 1}}}}
	s := mustCompile(t, policies, time.UTC)
	policies[0].Throttle.Limit = 99
	if got := s.At(time.Unix(0, 0)).Settings.Throttle.Limit; got != 1 {
		t.Errorf("a later change by the caller changed the schedule: limit %v", got)
	}
}

func TestZones(t *testing.T) {
	seoul := mustZone(t, "Asia/Seoul")
	at := time.Date(2026, 6, 1, 9, 30, 0, 0, seoul)
	for _, c := range []struct {
		name  string
		zone  string
		local *time.Location
		want  int
	}{
		{"named", "Asia/Seoul", time.UTC, 0}, {"local", "", seoul, 0}, {"Local by name", "Local", seoul, 0},
		{"no local is UTC", "", nil, -1}, {"UTC", "UTC", seoul, -1}, {"elsewhere", "America/New_York", seoul, -1},
	} {
		s := mustCompile(t, []Policy{on(c.zone, "* 9 * * *")}, c.local)
		if got := s.At(at).Index; got != c.want {
			t.Errorf("%s: policy %d, want %d", c.name, got, c.want)
		}
	}
}

func TestCompileNamesEveryFault(t *testing.T) {
	_, err := Compile([]Policy{
		on("", "* * * * *", "* 25 * * *", "@daily"),
		on("Mars/Olympus"),
		on("../../etc/passwd", "* * L * *"),
	}, time.UTC)
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("got %T: %v", err, err)
	}
	var got []string
	for _, e := range joined.Unwrap() {
		var pe *PeriodError
		var ze *ZoneError
		switch {
		case errors.As(e, &pe):
			got = append(got, "period "+string(rune('0'+pe.Policy))+string(rune('0'+pe.Period))+" "+pe.Text)
		case errors.As(e, &ze):
			got = append(got, "zone "+string(rune('0'+ze.Policy))+" "+ze.Text)
			if ze.Err == nil || errors.Unwrap(ze) != ze.Err || ze.Remedy == "" || ze.Reason == "" {
				t.Errorf("%+v", ze)
			}
		}
	}
	want := []string{"period 01 * 25 * * *", "period 02 @daily", "zone 1 Mars/Olympus", "zone 2 ../../etc/passwd", "period 20 * * L * *"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, part := range []string{
		`policy 1, period 2 "* 25 * * *": hour 25 is out of range; write a value from 0 to 23`,
		`policy 2, timezone "Mars/Olympus": the time zone database has no such zone; write an IANA name`,
		`policy 3, period 1 "* * L * *"`,
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
}

func TestNeverHolds(t *testing.T) {
	for _, c := range []struct {
		name     string
		policies []Policy
		want     []int
	}{
		{"usual order", []Policy{on(""), on("", "* 8-17 * * *")}, nil},
		{"the base comes last", []Policy{on("", "* 8-17 * * *"), on("")}, []int{0}},
		{"always, in another zone", []Policy{on("Asia/Seoul", "* 8-17 * * *"), on("UTC")}, []int{0}},
		{"twice the same", []Policy{on("", "* 8 * * *"), on("", "* 8 * * *")}, []int{0}},
		{"the same in another zone", []Policy{on("UTC", "* 8 * * *"), on("Asia/Seoul", "* 8 * * *")}, nil},
		{"the same in the local zone", []Policy{on("Asia/Seoul", "* 8 * * *"), on("", "* 8 * * *")}, nil},
		{"more in the local zone", []Policy{on("Asia/Seoul", "* 8 * * *"), on("Local", "* 8-17 * * *")}, nil},
		{"two later ones together", []Policy{on("", "* 8-9 * * mon"), on("", "* 8 * * *"), on("", "* 9 * * 1-3")}, []int{0}},
		{"two later ones, all but a minute", []Policy{on("", "* 8-9 * * mon"), on("", "* 8 * * *"), on("", "0-58 9 * * 1-3")}, nil},
		{"no date", []Policy{on("", "* * 30 2 *")}, []int{0}},
		{"a rare date", []Policy{on("", "* * 29 2 */7"), on("", "* * 1-28 * *")}, nil},
		{"named zone shared", []Policy{on("Asia/Seoul", "* 8 * * *"), on("Asia/Seoul", "* 8-9 * * *")}, []int{0}},
	} {
		if got := mustCompile(t, c.policies, time.UTC).NeverHolds(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestFactorMode(t *testing.T) {
	for mode, want := range map[FactorMode]string{FactorMax: "max", FactorAdd: "add"} {
		if got := mode.String(); got != want {
			t.Errorf("mode %d: got %q, want %q", mode, got, want)
		}
	}
}

// TestUsualConfigurations are policies as people write them, including older forms, and what is active at some hours of a week in their
// zone.
func TestUsualConfigurations(t *testing.T) {
	const seoul = "Asia/Seoul"
	for _, c := range []struct {
		name     string
		policies []Policy
		want     map[string]int // local time in March 2026, where the 2nd is a Monday
	}{
		{"week and weekend in seven fields", []Policy{on(seoul, "* * * * * mon-fri *"), on(seoul, "* * * * * sat,sun *")},
			map[string]int{"02 00:00": 0, "06 23:59": 0, "07 00:00": 1, "08 23:59": 1, "09 00:00": 0}},
		{"nothing, but for the edges of the day", []Policy{on(seoul, "* * * * *"), on(seoul, "* 0-8,18-23 * * mon-fri")},
			map[string]int{"02 08:59": 1, "02 09:00": 0, "02 17:59": 0, "02 18:00": 1, "07 08:00": 0, "08 20:00": 0}},
		{"an order that hides the first", []Policy{on(seoul, "* 9-17 * * *"), on(seoul)},
			map[string]int{"02 08:59": 1, "02 09:00": 1, "02 12:00": 1}},
		{"the first hour of a night of two days", []Policy{on(seoul, "* 22-6 * * fri-sun")},
			map[string]int{"06 21:59": -1, "06 22:00": 0, "07 06:59": 0, "07 07:00": -1, "09 00:00": -1, "06 00:00": 0}},
		{"a day of month or a weekday", []Policy{on(seoul, "* * 15 * mon")},
			map[string]int{"02 12:00": 0, "03 12:00": -1, "15 12:00": 0, "16 12:00": 0}},
		{"an odd day that is a Monday", []Policy{on(seoul, "* * */2 * mon")},
			map[string]int{"02 12:00": -1, "09 12:00": 0, "15 12:00": -1, "23 12:00": 0, "03 12:00": -1}},
	} {
		s := mustCompile(t, c.policies, time.UTC)
		for at, want := range c.want {
			local, err := time.ParseInLocation("2006-01-02 15:04", "2026-03-"+at, mustZone(t, seoul))
			if err != nil {
				t.Fatal(err)
			}
			if got := s.At(local).Index; got != want {
				t.Errorf("%s, %s: policy %d, want %d", c.name, at, got, want)
			}
		}
	}
}

func TestSettingsWithoutAMeaning(t *testing.T) {
	for want, s := range map[string]Settings{
		"IdleCount": {IdleCount: -1}, "IdleTime": {IdleTime: -1}, "ScaleFactor": {ScaleFactor: -0.5}, "ScaleFactor ": {ScaleFactor: math.NaN()},
		"ScaleFactorLimit": {ScaleFactorLimit: -1},
	} {
		_, err := Compile([]Policy{{}, {Settings: s}}, time.UTC)
		if err == nil || !strings.Contains(err.Error(), "policy 2: "+strings.TrimSpace(want)+" is negative") {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for limit, want := range map[float64]bool{-1: true, 0: true, MinLimit: true, 1e-8: false, math.SmallestNonzeroFloat64: false, math.Inf(1): true} {
		_, err := Compile([]Policy{{Settings: Settings{Throttle: &Throttle{Limit: limit}}}}, time.UTC)
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "policy 1: a throttle limit of") {
			t.Errorf("limit %v: %v", limit, err)
		}
	}
}
