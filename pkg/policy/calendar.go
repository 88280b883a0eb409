package policy

import (
	"math/bits"
	"time"
)

// daysIn is the largest number of days that each month can have.
var daysIn = [12]int{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

const (
	secondsADay = 86400
	allMinutes  = 1<<60 - 1
	// yearsToTry limits a search through the years. Every kind of year (leap or not, weekday of 1 January) recurs within 40 years. The
	// longest gap is between leap years around a century that is not a leap year.
	yearsToTry = 40
)

// dayShape holds the minutes of one day that are inside, as one mask per hour.
type dayShape [24]uint64

// yearDays is a set of days of a year, counted from 0.
type yearDays [6]uint64

// next returns the first day of the set at or after day, or -1.
func (s *yearDays) next(day int) int {
	for w := day / 64; w < len(s); w++ {
		word := s[w]
		if w == day/64 {
			word &= ^uint64(0) << (day % 64)
		}
		if word != 0 {
			return w*64 + bits.TrailingZeros64(word)
		}
	}
	return -1
}

// calendar is the union of some periods, prepared for fast queries. Whether a minute is inside depends only on month, day, weekday, hour
// and minute. So every date has one of 2,604 classes (12 months × 31 days × 7 weekdays), and every year is one of 14 kinds.
type calendar struct {
	shapes []dayShape
	class  [12][31][7]uint16 // index into shapes by month-1, day-1, weekday
	// days[0] holds, for each kind of year, the days that have a minute outside; days[1] those that have a minute inside.
	days [2][14]yearDays
	some [2]bool // whether such a day exists
}

func newCalendar(periods []Period) *calendar {
	c := &calendar{}
	known := map[dayShape]uint16{}
	for month := range c.class {
		for day := range c.class[month] {
			for weekday := range c.class[month][day] {
				shape := shapeOf(periods, month+1, day+1, weekday)
				id, ok := known[shape]
				if !ok {
					id = uint16(len(c.shapes))
					known[shape] = id
					c.shapes = append(c.shapes, shape)
				}
				c.class[month][day][weekday] = id
			}
		}
	}
	c.index()
	return c
}

func shapeOf(periods []Period, month, day, weekday int) dayShape {
	var shape dayShape
	for i := range periods {
		if !periods[i].matchesDay(month, day, weekday) {
			continue
		}
		for hour := range shape {
			if has(periods[i].hours, hour) {
				shape[hour] |= periods[i].minutes
			}
		}
	}
	return shape
}

// index fills days: for each kind of year, the days with a minute inside and the days with a minute outside.
func (c *calendar) index() {
	inside := [2][]bool{make([]bool, len(c.shapes)), make([]bool, len(c.shapes))}
	for i := range c.shapes {
		_, inside[0][i] = c.shapes[i].next(0, false)
		_, inside[1][i] = c.shapes[i].next(0, true)
	}
	for kind := range c.days[0] {
		leap, weekday, yearDay := kind >= 7, kind%7, 0
		for month := range daysIn {
			days := daysIn[month]
			if month == 1 && !leap {
				days--
			}
			for day := range days {
				id := c.class[month][day][weekday]
				for state := range c.days {
					if inside[state][id] {
						c.some[state] = true
						c.days[state][kind][yearDay/64] |= 1 << (yearDay % 64)
					}
				}
				yearDay++
				weekday = (weekday + 1) % 7
			}
		}
	}
}

// next returns the first minute of the day, at or after minute, that is inside (or outside).
func (d *dayShape) next(minute int, inside bool) (int, bool) {
	for hour := minute / 60; hour < len(d); hour++ {
		mask := d[hour]
		if !inside {
			mask ^= allMinutes
		}
		if hour == minute/60 {
			mask &= ^uint64(0) << (minute % 60)
		}
		if mask != 0 {
			return hour*60 + bits.TrailingZeros64(mask), true
		}
	}
	return 0, false
}

// shape returns the shape of the day of u, which is a local time written as UTC.
func (c *calendar) shape(u time.Time) *dayShape {
	_, month, day := u.Date()
	return &c.shapes[c.class[month-1][day-1][u.Weekday()]]
}

// holds reports whether the local minute u, written as UTC, is inside.
func (c *calendar) holds(u time.Time) bool {
	hour, minute, _ := u.Clock()
	return has(c.shape(u)[hour], minute)
}

// next returns the first minute at or after local that is inside (or outside). Both are local seconds: the time that a wall clock shows,
// counted as if it was UTC. ok is false when no such minute exists.
func (c *calendar) next(local int64, inside bool) (_ int64, ok bool) {
	state := 0
	if inside {
		state = 1
	}
	if !c.some[state] {
		return 0, false
	}
	set := &c.days[state]
	day := floorDiv(local, secondsADay)
	u := time.Unix(day*secondsADay, 0).UTC()
	if m, ok := c.shape(u).next(int(local-day*secondsADay)/60, inside); ok {
		return day*secondsADay + int64(m)*60, true
	}
	year, from := u.Year(), u.YearDay() // YearDay counts from 1, so from is tomorrow
	for range yearsToTry + 1 {
		first := time.Date(year, time.January, 1, 0, 0, 0, 0, time.UTC)
		if yearDay := set[kindOf(first)].next(from); yearDay >= 0 {
			start := first.Unix() + int64(yearDay)*secondsADay
			m, _ := c.shape(time.Unix(start, 0).UTC()).next(0, inside)
			return start + int64(m)*60, true
		}
		year, from = year+1, 0
	}
	return 0, false
}

// kindOf returns the kind of the year that begins at first.
func kindOf(first time.Time) int {
	kind := int(first.Weekday())
	if y := first.Year(); y%4 == 0 && (y%100 != 0 || y%400 == 0) {
		kind += 7
	}
	return kind
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
