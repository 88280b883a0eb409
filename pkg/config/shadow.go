package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

// A period is a product: some minutes of some hours of some days, where a day is a month, a day of the month and a day of the week. So
// the union of periods is one mask of minutes for each hour of each kind of day, and that is small enough to be built in full.

const (
	kindsOfDay = 12 * 31 * 7
	dayHours   = kindsOfDay * 24
)

// covered is the union of periods: the mask of minutes of each hour of each kind of day.
type covered []uint64

// factors are the parts that a period is the product of.
type factors struct {
	minutes uint64
	hours   []int
	days    []int // kinds of day
}

func kindOfDay(month time.Month, day int, weekday time.Weekday) int {
	return (int(month-1)*31+day-1)*7 + int(weekday)
}

// factorise asks the period itself about each part: the other parts are replaced by stars.
func factorise(p policy.Period) (factors, error) {
	f := strings.Fields(p.String())
	if len(f) != 5 {
		return factors{}, fmt.Errorf("period %q has no five fields", p)
	}
	minutes, _, err := policy.ParsePeriod(f[0] + " * * * *")
	if err != nil {
		return factors{}, err
	}
	hours, _, err := policy.ParsePeriod("* " + f[1] + " * * *")
	if err != nil {
		return factors{}, err
	}
	days, _, err := policy.ParsePeriod("* * " + strings.Join(f[2:], " "))
	if err != nil {
		return factors{}, err
	}
	var out factors
	for m := range 60 {
		if minutes.Matches(time.January, 1, time.Monday, 0, m) {
			out.minutes |= 1 << m
		}
	}
	for h := range 24 {
		if hours.Matches(time.January, 1, time.Monday, h, 0) {
			out.hours = append(out.hours, h)
		}
	}
	for month := time.January; month <= time.December; month++ {
		for day := 1; day <= time.Date(2024, month+1, 0, 0, 0, 0, 0, time.UTC).Day(); day++ { // 2024 is a leap year
			for weekday := time.Sunday; weekday <= time.Saturday; weekday++ {
				if days.Matches(month, day, weekday, 0, 0) {
					out.days = append(out.days, kindOfDay(month, day, weekday))
				}
			}
		}
	}
	return out, nil
}

// holds reports whether every minute of f is in c.
func (c covered) holds(f factors) bool {
	for _, d := range f.days {
		for _, h := range f.hours {
			if f.minutes&^c[d*24+h] != 0 {
				return false
			}
		}
	}
	return true
}

func (c covered) add(f factors) {
	for _, d := range f.days {
		for _, h := range f.hours {
			c[d*24+h] |= f.minutes
		}
	}
}

// always reports whether f is every minute there is, whatever the zone.
func (f factors) always() bool {
	const allMinutes, allDays = 1<<60 - 1, 366 * 7
	return f.minutes == allMinutes && len(f.hours) == 24 && len(f.days) == allDays
}

// warnShadowed finds policies that never hold because a later one does at each of their minutes. Policies in different zones are
// compared only where one holds always, because their clocks differ by an amount that changes over the year.
func warnShadowed(tables []policyTable) {
	unions := map[string]covered{}
	winner := 0 // number of a later policy that holds always
	for i := len(tables) - 1; i >= 0; i-- {
		t := &tables[i]
		union := unions[t.zone]
		if union == nil {
			union = make(covered, dayHours)
			unions[t.zone] = union
		}
		var parts []factors
		hidden := true
		for _, p := range t.periods {
			f, err := factorise(p)
			if err != nil { // cannot be read back: say nothing rather than something wrong
				return
			}
			if len(f.days) == 0 { // that no date matches is a warning of its own
				continue
			}
			parts = append(parts, f)
			hidden = hidden && (winner > 0 || union.holds(f))
		}
		if hidden && len(parts) > 0 {
			message := "never holds: at each of its minutes a later policy does, and the last one wins"
			if winner > 0 {
				message = fmt.Sprintf("never holds: policy %d holds always, and the last one wins", winner)
			}
			t.warn(CodeShadowed, t.n, "", message, "put the more special policy last")
		}
		for _, f := range parts {
			union.add(f)
			if winner == 0 && f.always() {
				winner = i + 1
			}
		}
	}
}
