package policy

import (
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/draw"
)

func TestYearKindsComeBack(t *testing.T) {
	last := map[int]int{}
	longest := 0
	for year := 1600; year <= 2400+yearsToTry; year++ {
		first := time.Date(year, time.January, 1, 0, 0, 0, 0, time.UTC)
		kind := kindOf(first)
		leap := time.Date(year, time.December, 31, 0, 0, 0, 0, time.UTC).YearDay() == 366
		if (kind >= 7) != leap || kind%7 != int(first.Weekday()) {
			t.Fatalf("%d: kind %d, leap %v, begins on %v", year, kind, leap, first.Weekday())
		}
		if before, ok := last[kind]; ok {
			longest = max(longest, year-before)
		}
		last[kind] = year
	}
	if len(last) != 14 || longest != yearsToTry {
		t.Errorf("%d kinds, the longest wait is %d years; want 14 and %d", len(last), longest, yearsToTry)
	}
}

func TestYearDaysNext(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		var set yearDays
		in := map[int]bool{}
		for range draw.Range(0, 8).Draw(t, "size") {
			day := draw.Range(0, 365).Draw(t, "day")
			set[day/64] |= 1 << (day % 64)
			in[day] = true
		}
		from := draw.Range(0, 366).Draw(t, "from")
		want := -1
		for day := 365; day >= from; day-- {
			if in[day] {
				want = day
			}
		}
		if got := set.next(from); got != want {
			t.Fatalf("%v from %d: got %d, want %d", in, from, got, want)
		}
	})
}

func TestDayShapeNext(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		p, _, err := ParsePeriod(genField(t, &fields[minuteField]) + " " + genField(t, &fields[hourField]) + " * * *")
		if err != nil {
			t.Fatal(err)
		}
		shape := shapeOf([]Period{p}, 1, 1, 1)
		from, inside := draw.Range(0, 1439).Draw(t, "from"), draw.Bool().Draw(t, "inside")
		want, found := 0, false
		for m := from; m < 1440 && !found; m++ {
			if p.Matches(time.January, 1, time.Monday, m/60, m%60) == inside {
				want, found = m, true
			}
		}
		if got, ok := shape.next(from, inside); ok != found || got != want {
			t.Fatalf("%q from minute %d, inside %v: got %d, %v, want %d, %v", p, from, inside, got, ok, want, found)
		}
	})
}

// TestCalendarNextByMinutes checks near results, minute by minute.
func TestCalendarNextByMinutes(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		texts := []string{genPeriod(t), genPeriod(t)}
		cal, oracles := calendarOf(t, texts)
		local := draw.Range[int64](-5e9, 5e9).Draw(t, "local")
		inside := draw.Bool().Draw(t, "inside")
		got, ok := cal.next(local, inside)
		minute := floorDiv(local, 60) * 60
		for range 3000 {
			u := time.Unix(minute, 0).UTC()
			holds := oracles[0].holds(u) || oracles[1].holds(u)
			if cal.holds(u) != holds {
				t.Fatalf("%q at %v: got %v", texts, u, !holds)
			}
			if holds == inside {
				if !ok || got != minute {
					t.Fatalf("%q after %d, inside %v: got %d, %v, want %d", texts, local, inside, got, ok, minute)
				}
				return
			}
			if ok && got == minute {
				t.Fatalf("%q after %d, inside %v: %d is in the other state", texts, local, inside, got)
			}
			minute += 60
		}
		if ok && got < minute {
			t.Fatalf("%q after %d, inside %v: got %d, but there is none before %d", texts, local, inside, got, minute)
		}
	})
}

// TestCalendarNextByDays checks far results, day by day, over more years than any date needs to recur.
func TestCalendarNextByDays(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		text := "* * " + genField(t, &fields[dayField]) + " " + genField(t, &fields[monthField]) + " " + genField(t, &fields[weekdayField])
		cal, oracles := calendarOf(t, []string{text})
		day := draw.Range[int64](-60000, 60000).Draw(t, "day")
		inside := draw.Bool().Draw(t, "inside")
		got, ok := cal.next(day*secondsADay, inside)
		for d := day; d < day+(yearsToTry+1)*366; d++ {
			if oracles[0].holds(time.Unix(d*secondsADay, 0).UTC()) == inside {
				if !ok || got != d*secondsADay {
					t.Fatalf("%q after day %d, inside %v: got %d, %v, want day %d", text, day, inside, got/secondsADay, ok, d)
				}
				return
			}
		}
		if ok {
			t.Fatalf("%q after day %d, inside %v: got day %d, want never", text, day, inside, got/secondsADay)
		}
	})
}

func calendarOf(t *draw.T, texts []string) (*calendar, []oraclePeriod) {
	var periods []Period
	var oracles []oraclePeriod
	for _, text := range texts {
		p, _, err := ParsePeriod(text)
		if err != nil {
			t.Fatal(err)
		}
		periods, oracles = append(periods, p), append(oracles, oracleRead(text))
	}
	return newCalendar(periods), oracles
}

func (p *oraclePeriod) holds(u time.Time) bool {
	return p.matches(int(u.Month()), u.Day(), int(u.Weekday()), u.Hour(), u.Minute())
}

func TestFloorDiv(t *testing.T) {
	for _, c := range [][3]int64{{0, 60, 0}, {59, 60, 0}, {60, 60, 1}, {-1, 60, -1}, {-60, 60, -1}, {-61, 60, -2}} {
		if got := floorDiv(c[0], c[1]); got != c[2] {
			t.Errorf("%d / %d: got %d, want %d", c[0], c[1], got, c[2])
		}
	}
}
