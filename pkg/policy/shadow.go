package policy

// NeverHolds returns the positions, counted from 0, of policies that can never be active: no date matches them, or a later policy matches
// at every minute of theirs. Policies of different time zones are compared only if the later one always matches. So every policy in the
// result is certain, but the result may be incomplete.
func (s *Schedule) NeverHolds() []int {
	var never []int
	for i := range s.Len() {
		if s.covered(i) {
			never = append(never, i)
		}
	}
	return never
}

// covered reports whether later policies match at every minute of policy i.
func (s *Schedule) covered(i int) bool {
	r := &s.rules[i]
	var later []*calendar
	for j := i + 1; j < len(s.rules); j++ {
		if s.rules[j].cal.always() {
			return true
		}
		if s.rules[j].loc == r.loc {
			later = append(later, s.rules[j].cal)
		}
	}
	for month := range daysIn {
		for day := range daysIn[month] {
			for weekday := range 7 {
				if !within(r.cal.at(month, day, weekday), later, month, day, weekday) {
					return false
				}
			}
		}
	}
	return true
}

// within reports whether the calendars together contain all minutes of shape on that date.
func within(shape *dayShape, cals []*calendar, month, day, weekday int) bool {
	for hour := range shape {
		left := shape[hour]
		for _, c := range cals {
			left &^= c.at(month, day, weekday)[hour]
		}
		if left != 0 {
			return false
		}
	}
	return true
}

// always reports whether every minute is inside.
func (c *calendar) always() bool { return !c.some[0] }

// at returns the shape of a date. month, day and weekday count from 0.
func (c *calendar) at(month, day, weekday int) *dayShape {
	return &c.shapes[c.class[month][day][weekday]]
}
