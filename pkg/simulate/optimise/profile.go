package optimise

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// profile says how often jobs arrive, by weekday and hour, in the zone of the start.
type profile struct {
	jobs, seconds [7][24]float64
}

// profileOf counts arrivals.
func profileOf(list []simulate.Job, start time.Time) *profile {
	p := &profile{}
	if len(list) == 0 {
		return p
	}
	for _, j := range list {
		t := start.Add(j.Arrival)
		p.jobs[t.Weekday()][t.Hour()]++
	}
	end := start.Add(list[len(list)-1].Arrival)
	for t := start.Add(list[0].Arrival); t.Before(end); {
		next := t.Truncate(time.Hour).Add(time.Hour) // for zones that are off by a part of an hour, the border between hours is not exact
		if next.After(end) {
			next = end
		}
		p.seconds[t.Weekday()][t.Hour()] += next.Sub(t).Seconds()
		t = next
	}
	return p
}

// rate is the number of arrivals per second in the hours that pick selects. ok is false if the trace does not cover them.
func (p *profile) rate(pick func(day, hour int) bool) (rate float64, ok bool) {
	var jobs, seconds float64
	for d := range p.jobs {
		for h := range p.jobs[d] {
			if pick(d, h) {
				jobs += p.jobs[d][h]
				seconds += p.seconds[d][h]
			}
		}
	}
	if seconds == 0 {
		return 0, false
	}
	return jobs / seconds, true
}

// window is a part of the week: hours of the day on some weekdays.
type window struct {
	hours    [24]bool
	days     [7]bool // from Sunday
	periods  []string
	timezone string // zone of periods from the configuration; empty: the zone of the workload
}

func (w *window) holds(day, hour int) bool { return w.days[day] && w.hours[hour] }

// contrast is how many times as busy as the rest of the week a window must be.
const contrast = 1.5

// windows are the busy times of the profile. For several thresholds it takes the longest run of hours whose rate is above the threshold,
// with gaps of one hour filled, if the rest of the week is clearly quieter. The window is restricted to Monday to Friday if the trace
// covers a weekend and the weekend is at most half as busy.
func (p *profile) windows() []window {
	days := [7]bool{true, true, true, true, true, true, true}
	weekend := func(d, _ int) bool { return d == 0 || d == 6 }
	off, saw := p.rate(weekend)
	on, worked := p.rate(func(d, h int) bool { return !weekend(d, h) })
	if saw && worked && off*2 < on {
		days[0], days[6] = false, false
	}
	mean, _ := p.rate(func(d, _ int) bool { return days[d] })
	var found []window
	for _, threshold := range []float64{0.5, 1, 1.5} {
		var busy [24]bool
		for h := range busy {
			r, ok := p.rate(func(d, hour int) bool { return days[d] && hour == h })
			busy[h] = ok && r >= threshold*mean
		}
		w := window{hours: longest(busy), days: days}
		w.periods = []string{w.cron()}
		all, none := !slices.Contains(w.hours[:], false) && days[0], !slices.Contains(w.hours[:], true)
		in, _ := p.rate(w.holds)
		out, _ := p.rate(func(d, h int) bool { return !w.holds(d, h) })
		if !all && !none && in >= contrast*out && !slices.ContainsFunc(found, func(f window) bool { return f.hours == w.hours }) {
			found = append(found, w)
		}
	}
	return found
}

// longest is the longest run of busy hours around the clock, with gaps of one hour filled.
func longest(busy [24]bool) (out [24]bool) {
	filled := busy
	for h := range busy {
		if !busy[h] && busy[(h+23)%24] && busy[(h+1)%24] {
			filled[h] = true
		}
	}
	best, from := 0, 0
	for start := range filled {
		n := 0
		for n < 24 && filled[(start+n)%24] {
			n++
		}
		if n > best {
			best, from = n, start
		}
	}
	for n := range best {
		out[(from+n)%24] = true
	}
	return out
}

// cron is the window as a period with five fields.
func (w *window) cron() string {
	days := "*"
	if !w.days[0] {
		days = "mon-fri"
	}
	return fmt.Sprintf("* %s * * %s", ranges(w.hours), days)
}

func ranges(hours [24]bool) string {
	var parts []string
	for h := 0; h < 24; h++ {
		if !hours[h] {
			continue
		}
		from := h
		for h+1 < 24 && hours[h+1] {
			h++
		}
		switch {
		case from == 0 && h == 23:
			return "*"
		case from == h:
			parts = append(parts, strconv.Itoa(h))
		default:
			parts = append(parts, fmt.Sprintf("%d-%d", from, h))
		}
	}
	return strings.Join(parts, ",")
}

// windowOf is the part of the week, by hour, that the periods of a policy cover.
func windowOf(p policy.Policy) window {
	w := window{periods: p.Periods, timezone: p.Timezone}
	for _, text := range p.Periods {
		period, _, err := policy.ParsePeriod(text)
		if err != nil {
			continue // cannot happen: Compile has rejected it before
		}
		for d := range 7 {
			for h := range 24 {
				if period.Matches(time.January, 1, time.Weekday(d), h, 30) {
					w.days[d], w.hours[h] = true, true
				}
			}
		}
	}
	return w
}
