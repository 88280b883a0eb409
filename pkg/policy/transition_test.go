package policy

import (
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/draw"
)

var someZones = []string{"UTC", "Africa/Cairo", "Africa/Casablanca", "Africa/Monrovia", "America/Asuncion", "America/Caracas",
	"America/Juneau", "America/New_York", "America/Nuuk", "America/Santiago", "America/Sao_Paulo", "America/St_Johns", "Antarctica/Troll",
	"Asia/Gaza", "Asia/Kathmandu", "Asia/Manila", "Asia/Pyongyang", "Asia/Seoul", "Asia/Tehran", "Australia/Lord_Howe", "Europe/Amsterdam",
	"Europe/Dublin", "Europe/London", "Europe/Moscow", "Pacific/Apia", "Pacific/Chatham", "Pacific/Kiritimati", "Pacific/Kwajalein"}

// TestStretchesTileTime: spans with one offset cover all time without gaps, and each ends where the offset changes.
func TestStretchesTileTime(t *testing.T) {
	start := time.Date(1840, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	stop := time.Date(2110, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	for _, name := range someZones {
		loc := mustZone(t, name)
		rounds := 0
		for at := start; at < stop; rounds++ {
			offset, end := stretch(loc, at)
			if end <= at {
				t.Fatalf("%s: the span at %d ends at %d", name, at, end)
			}
			last := min(end, stop) - 1
			for _, u := range []int64{at, at + (last-at)/3, at + (last-at)/2, last - (last-at)/5, last} {
				if _, got := time.Unix(u, 0).In(loc).Zone(); int64(got) != offset {
					t.Fatalf("%s: offset %d at %d, but the span from %d to %d has %d", name, got, u, at, end, offset)
				}
			}
			at = end
		}
		if rounds > 270*6 {
			t.Errorf("%s: %d spans in 270 years", name, rounds)
		}
	}
}

// TestStretchAtLeapYearEnd pins a case that needs a guard: on this day package time returns an end in the past.
func TestStretchAtLeapYearEnd(t *testing.T) {
	for _, name := range []string{"America/New_York", "Australia/Lord_Howe", "Europe/Dublin"} {
		loc := mustZone(t, name)
		for year := 2040; year < 2400; year += 4 {
			at := time.Date(year, time.December, 31, 12, 0, 0, 0, time.UTC).Unix()
			if _, end := stretch(loc, at); end <= at {
				t.Fatalf("%s, %d: the span ends %d seconds ago", name, year, at-end)
			}
		}
	}
}

// TestReach checks an assumption of skip: UTC offsets and steps back of clocks together never exceed reach.
func TestReach(t *testing.T) {
	for _, name := range someZones {
		loc := mustZone(t, name)
		before := int64(0)
		for at := time.Date(1840, 1, 1, 0, 0, 0, 0, time.UTC).Unix(); at < 4e9; {
			offset, end := stretch(loc, at)
			if far := 26 * int64(3600); offset > far || offset < -far || offset-before > far || before-offset > far {
				t.Errorf("%s: offset %d after %d", name, offset, before)
			}
			before, at = offset, end
		}
	}
	if reach < 2*26*3600 {
		t.Error("reach is too short for the time zone format's ±26 h")
	}
}

// TestSparseDaysAcrossZones compares rare dates, in zones with clock changes, with a walk hour by hour.
func TestSparseDaysAcrossZones(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		zone := draw.From(someZones).Draw(t, "zone")
		text := "* * " + genField(t, &fields[dayField]) + " " + genField(t, &fields[monthField]) + " */7"
		s, err := Compile([]Policy{on(zone, text)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		oracle := oracleCompile([]Policy{on(zone, text)}, nil)
		from := time.Unix(draw.Range[int64](-3e9, 4e9).Draw(t, "from")/3600*3600, 0).UTC()
		now := oracleIndex(oracle, from)
		next, ok := s.NextChange(from)
		end := from.AddDate(2, 0, 0)
		if ok && next.Before(end) {
			end = next
			before := oracleIndex(oracle, next.Add(-time.Second))
			if after := oracleIndex(oracle, next); before != now || after == now {
				t.Fatalf("%q in %s: at %v policy %d follows %d; it was %d at %v", text, zone, next, after, before, now, from)
			}
		}
		for h := from; h.Before(end); h = h.Add(time.Hour) {
			if oracleIndex(oracle, h) != now {
				t.Fatalf("%q in %s from %v: the change is %v, but %v differs already", text, zone, from, next, h)
			}
		}
	})
}

// TestWholeYear walks a year of a usual fleet minute by minute, including both changes of summer time.
func TestWholeYear(t *testing.T) {
	const zone = "Australia/Lord_Howe"
	policies := []Policy{
		on(""), on(zone, "* 8-17 * * mon-fri"), on(zone, "45-59 1 * * *", "0-44 2 * * sun"), on(zone, "* * 25-26 12 *"),
	}
	s := mustCompile(t, policies, nil)
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	to := from.AddDate(1, 0, 0)
	want := bruteChanges(oracleCompile(policies, time.UTC), from, to, time.Minute)
	got := walkChanges(s, from, to)
	if len(got) != len(want) {
		t.Fatalf("%d changes, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("change %d: got %s, want %s", i, got[i], want[i])
		}
	}
	if len(want) < 1200 {
		t.Errorf("only %d changes: the test no longer proves anything", len(want))
	}
}
