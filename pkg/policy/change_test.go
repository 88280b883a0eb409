package policy

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/draw"
)

// dstDays are windows around days with unusual clock changes.
var dstDays = []struct {
	zone, from string
	days       int
	step       time.Duration // step of the brute force: a minute, or less where offsets have seconds
}{
	{"UTC", "2026-02-27", 4, time.Minute},
	{"America/New_York", "2026-03-07", 3, time.Minute},     // 02:00 → 03:00
	{"America/New_York", "2026-10-31", 3, time.Minute},     // 02:00 → 01:00
	{"America/New_York", "2040-12-30", 4, time.Minute},     // the end of a leap year after the last entry of the zone's table
	{"Europe/London", "2026-03-28", 3, time.Minute},        // 01:00 → 02:00
	{"Australia/Lord_Howe", "2026-04-04", 3, time.Minute},  // half an hour back
	{"Australia/Lord_Howe", "2026-10-03", 3, time.Minute},  // half an hour forward
	{"Asia/Kathmandu", "1985-12-30", 4, time.Minute},       // +5:30 → +5:45 at midnight
	{"Pacific/Apia", "2011-12-28", 5, time.Minute},         // no 30 December
	{"Pacific/Kwajalein", "1993-08-19", 5, time.Minute},    // no 21 August
	{"Asia/Seoul", "1988-05-07", 3, time.Minute},           // the Olympic summer time
	{"Asia/Seoul", "1988-10-08", 3, time.Minute},           //
	{"Asia/Pyongyang", "2018-05-04", 3, time.Minute},       // +8:30 → +9:00
	{"Antarctica/Troll", "2026-03-28", 3, time.Minute},     // two hours
	{"America/Sao_Paulo", "2018-11-03", 3, time.Minute},    // midnight is skipped
	{"America/Sao_Paulo", "2018-02-17", 3, time.Minute},    // midnight comes twice
	{"Africa/Casablanca", "2026-02-14", 3, time.Minute},    // Ramadan
	{"America/Juneau", "1867-10-17", 4, time.Minute / 4},   // a day occurs twice, and offsets with seconds
	{"Africa/Monrovia", "1972-01-06", 3, time.Minute / 2},  // −0:44:30 → 0
	{"Europe/Amsterdam", "1937-06-30", 2, time.Second * 4}, // +1:19:32 → +1:20
}

// scheduleSets are policies with edges near the hours of clock changes, and usual and difficult ones.
func scheduleSets(zone string) map[string][]Policy {
	return map[string][]Policy{
		"office":          {on(""), on(zone, "* 8-17 * * mon-fri")},
		"night":           {on(zone, "* 22-6 * * *")},
		"the second hour": {on(zone, "* 2 * * *"), on(zone, "30-59 1 * * *")},
		"around midnight": {on(zone, "30-59 23 * * *", "0-29 0 * * *"), on(zone, "* * 30-31 * *")},
		"short":           {on(zone, "*/20 * * * *"), on(zone, "15-44 */2 * * *"), on(zone, "* 3 * * sun")},
		"always in two":   {on(zone, "*/2 * * * *", "1-59/2 * * * *")},
		"hidden":          {on(zone, "* * * * *"), on("Asia/Seoul", "0 9 * * *"), on(zone, "*/7 * * * *"), on(zone, "0-57 * * * *")},
		"two zones":       {on("America/New_York", "* 9-16 * * 1-5"), on(zone, "* 0-2 * * *"), on("Asia/Kathmandu", "* 4-5 */2 * *")},
		"weekend":         {on(zone, "* * * * fri-sun"), on(zone, "* * 1 * mon")},
	}
}

// bruteChanges goes step by step and records every instant at which the oracle's winner changes, to the second.
func bruteChanges(policies []oraclePolicy, from, to time.Time, step time.Duration) (changes []string) {
	last := oracleIndex(policies, from)
	for t := from.Add(step); t.Before(to); t = t.Add(step) {
		i := oracleIndex(policies, t)
		if i == last {
			continue
		}
		at := t.Add(-step)
		for oracleIndex(policies, at) == last {
			at = at.Add(time.Second)
		}
		changes = append(changes, fmt.Sprintf("%s → %d", at.UTC().Format(time.RFC3339), i))
		last = i
	}
	return changes
}

// walkChanges records the same by calling NextChange from change to change.
func walkChanges(s *Schedule, from, to time.Time) (changes []string) {
	for t, ok := s.NextChange(from); ok && t.Before(to); t, ok = s.NextChange(t) {
		changes = append(changes, fmt.Sprintf("%s → %d", t.UTC().Format(time.RFC3339), s.At(t).Index))
	}
	return changes
}

func TestNextChangeAgainstBruteForce(t *testing.T) {
	for _, day := range dstDays {
		loc := mustZone(t, day.zone)
		from, err := time.ParseInLocation("2006-01-02", day.from, loc)
		if err != nil {
			t.Fatal(err)
		}
		to := from.Add(time.Duration(day.days) * 24 * time.Hour)
		for name, policies := range scheduleSets(day.zone) {
			t.Run(day.zone+" "+day.from+" "+name, func(t *testing.T) {
				s := mustCompile(t, policies, loc)
				want := bruteChanges(oracleCompile(policies, loc), from, to, day.step)
				got := walkChanges(s, from, to)
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("got %v\nwant %v", got, want)
				}
			})
		}
	}
}

// TestNextChangeFromAnywhere: the result is after t, is the same for every instant between, and nothing changes before it.
func TestNextChangeFromAnywhere(t *testing.T) {
	zones := []string{"UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "Asia/Seoul", "Europe/Dublin",
		"Africa/Casablanca", "Antarctica/Troll", "America/Santiago"}
	draw.Check(t, func(t *draw.T) {
		var policies []Policy
		for range draw.Range(1, 4).Draw(t, "policies") {
			p := on(draw.From(zones).Draw(t, "zone"))
			for range draw.Range(0, 3).Draw(t, "periods") {
				p.Periods = append(p.Periods, genPeriod(t))
			}
			policies = append(policies, p)
		}
		s, err := Compile(policies, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		oracle := oracleCompile(policies, time.UTC)
		at := time.Unix(draw.Range[int64](0, 4e9).Draw(t, "at"), draw.Range[int64](0, 999_999_999).Draw(t, "nanos"))
		now := oracleIndex(oracle, at)
		if got := s.At(at).Index; got != now {
			t.Fatalf("At %v: policy %d, want %d", at, got, now)
		}
		next, ok := s.NextChange(at)
		end := at.Add(2000 * time.Minute)
		if ok && next.Before(end) {
			end = next
			if got := oracleIndex(oracle, next); got == now || !next.After(at) {
				t.Fatalf("nothing changes at %v: policy %d", next, got)
			}
			again, ok := s.NextChange(next.Add(-time.Nanosecond))
			if !ok || !again.Equal(next) {
				t.Fatalf("one nanosecond before it, the next change is %v", again)
			}
		}
		for m := at.Truncate(time.Minute).Add(time.Minute); m.Before(end); m = m.Add(time.Minute) {
			if got := oracleIndex(oracle, m); got != now {
				t.Fatalf("missed: policy %d from %v on, but the next change is %v, %v", got, m, next, ok)
			}
		}
	})
}

func TestNextChangeSparse(t *testing.T) {
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		name, zone, period string
		from, want         time.Time
	}{
		{"leap day", "UTC", "* * 29 2 *", day(2026, 1, 1), day(2028, 2, 29)},
		{"leap day that is a Sunday", "UTC", "* * 29 2 */7", day(2026, 1, 1), day(2032, 2, 29)},
		{"the same over 2100: 40 years", "UTC", "* * 29 2 */7", day(2088, 3, 1), day(2128, 2, 29)},
		{"the same over 2000", "UTC", "* * 29 2 */7", day(1976, 3, 1), day(2004, 2, 29)},
		{"in a zone with clock changes", "America/New_York", "* * 29 2 */7", day(2026, 1, 1), time.Date(2032, 2, 29, 5, 0, 0, 0, time.UTC)},
		{"its end", "UTC", "* * 29 2 */7", day(2032, 2, 29), day(2032, 3, 1)},
		{"one minute a year", "Asia/Seoul", "59 23 31 12 *", day(2026, 12, 31), time.Date(2026, 12, 31, 14, 59, 0, 0, time.UTC)},
		{"before the epoch", "UTC", "* * 1 1 *", day(1899, 5, 5), day(1900, 1, 1)},
		{"in the year 9999", "Europe/London", "* * 1 7 *", day(9999, 1, 1), time.Date(9999, 6, 30, 23, 0, 0, 0, time.UTC)},
	} {
		s := mustCompile(t, []Policy{on(c.zone, c.period)}, nil)
		if got, ok := s.NextChange(c.from); !ok || !got.Equal(c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.name, got, ok, c.want)
		}
	}
}

func TestNextChangeNever(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	for name, policies := range map[string][]Policy{
		"always":                  {on("")},
		"30 February":             {on("", "* * 30 2 *")},
		"always, then none":       {on(""), on("", "* * 31 4 *")},
		"hidden by one that is":   {on("", "* 8 * * *"), on("Asia/Seoul")},
		"always in three periods": {on("America/New_York", "*/2 * * * *", "1-59/4 * * * *", "3-59/4 * * * *")},
		"always by weekdays":      {on("America/New_York", "* * * * 1-5", "* * * * sat-sun")},
	} {
		s := mustCompile(t, policies, nil)
		if next, ok := s.NextChange(now); ok || !next.IsZero() {
			t.Errorf("%s: a change at %v", name, next)
		}
	}
	s := mustCompile(t, []Policy{on("", "* 8 * * *")}, nil)
	for _, far := range []time.Time{time.Unix(1<<55, 0), time.Unix(-1<<55, 0)} {
		if next, ok := s.NextChange(far); ok {
			t.Errorf("a change at %v", next)
		}
	}
}

// TestNextChangeMinuteAlwaysSkipped: a zone that moves its clocks forward every 21 March never has that day's minute. The search must end.
func TestNextChangeMinuteAlwaysSkipped(t *testing.T) {
	loc, err := time.LoadLocationFromTZData("Test/Fixed", tzif("XST0XDT,J80/0,J264/0"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	if got := time.Date(2026, 3, 21, 0, 0, 0, 0, time.UTC).In(loc).Hour(); got != 1 {
		t.Fatalf("the zone's rule is not in force: hour %d", got)
	}
	s := mustCompile(t, []Policy{on("", "30 0 21 3 *")}, loc)
	if next, ok := s.NextChange(now); ok {
		t.Errorf("a change at %v", next)
	}
	s = mustCompile(t, []Policy{on("", "30 1 21 3 *")}, loc)
	want := time.Date(2026, 3, 21, 0, 30, 0, 0, time.UTC)
	if next, ok := s.NextChange(now); !ok || !next.Equal(want) {
		t.Errorf("the minute after the gap: got %v, %v, want %v", next, ok, want)
	}
}

// tzif returns time zone data (RFC 9636) with one transition long ago, and a rule for all time after it.
func tzif(rule string) []byte {
	header := func(version byte, transitions uint32) []byte {
		b := append([]byte("TZif"), version)
		b = append(b, make([]byte, 15)...)
		for _, n := range []uint32{0, 0, 0, transitions, 1, 4} { // isut, isstd, leap, transitions, types, name bytes
			b = binary.BigEndian.AppendUint32(b, n)
		}
		return b
	}
	zone := append(make([]byte, 6), "XST\x00"...) // offset 0, no summer time, name at 0
	data := append(header('2', 0), zone...)
	data = append(data, header('2', 1)...)
	data = binary.BigEndian.AppendUint64(data, 0) // the transition is at the epoch
	data = append(data, 0)                        // to type 0
	data = append(data, zone...)
	return append(data, "\n"+rule+"\n"...)
}

func TestNextChangeKeepsLocation(t *testing.T) {
	seoul := mustZone(t, "Asia/Seoul")
	s := mustCompile(t, []Policy{on("UTC", "* 8 * * *")}, nil)
	next, ok := s.NextChange(time.Date(2026, 1, 1, 0, 0, 0, 0, seoul))
	if !ok || next.Location() != seoul || next.Format(time.RFC3339) != "2026-01-01T17:00:00+09:00" {
		t.Errorf("got %v, %v", next, ok)
	}
}

// TestSkipLosesNothing: where clocks are set back by a whole day, a minute from before the search can occur again. It must be found.
func TestSkipLosesNothing(t *testing.T) {
	loc := mustZone(t, "America/Juneau")
	before := time.Date(1867, 10, 18, 23, 0, 0, 0, loc)
	s := mustCompile(t, []Policy{on("", "* 15 18 10 *")}, loc)
	next, ok := s.NextChange(before)
	if !ok || next.Sub(before) > 25*time.Hour || next.In(loc).Format("2006-01-02 15") != "1867-10-18 15" {
		t.Errorf("got %v, %v", next, ok)
	}
}

func TestNextChangeIgnoresLocationOfInstant(t *testing.T) {
	s := mustCompile(t, []Policy{on("Europe/London", "* 9 * * *"), on("Asia/Kathmandu", "* 9 * * mon")}, nil)
	at := time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)
	for range 20 {
		want, ok := s.NextChange(at)
		if !ok {
			t.Fatalf("no change after %v", at)
		}
		for _, name := range someZones {
			there := at.In(mustZone(t, name))
			if got, ok := s.NextChange(there); !ok || !got.Equal(want) || s.At(there) != s.At(at) {
				t.Fatalf("%v seen from %s: got %v, %v, want %v", at, name, got, ok, want)
			}
		}
		at = want
	}
}

// FuzzSchedule: every schedule that compiles returns results that advance and are consistent.
func FuzzSchedule(f *testing.F) {
	f.Add("* 8-17 * * mon-fri", "* 22-6 * * *", "Asia/Seoul", "America/New_York", int64(1_772_000_000))
	f.Add("*/7 * * * *", "* * 29 2 */7", "Pacific/Apia", "", int64(1_325_000_000))
	f.Add("0 * * * * * *", "* * 30 2 *", "Australia/Lord_Howe", "UTC", int64(-4_000_000_000))
	f.Fuzz(func(t *testing.T, a, b, zoneA, zoneB string, unix int64) {
		s, err := Compile([]Policy{on(zoneA, a), on(zoneB, b)}, time.UTC)
		if err != nil {
			if s != nil || err.Error() == "" {
				t.Fatalf("%v with %v", s, err)
			}
			return
		}
		never := s.NeverHolds()
		for at := time.Unix(unix, 0); ; {
			index := s.At(at).Index
			for _, n := range never {
				if index == n {
					t.Fatalf("policy %d is active at %v, but NeverHolds lists it", index, at)
				}
			}
			next, ok := s.NextChange(at)
			if !ok {
				return
			}
			if !next.After(at) || s.At(next).Index == index || s.At(next.Add(-time.Second)).Index != index {
				t.Fatalf("after %v (policy %d) the change is %v (policy %d)", at, index, next, s.At(next).Index)
			}
			if at = next; at.Unix()-unix > 30*secondsADay || unix > maxUnix {
				return
			}
		}
	})
}
