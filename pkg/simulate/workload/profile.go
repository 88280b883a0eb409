package workload

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// profile is how a rate changes over the week.
type profile struct {
	hours    [24]float64
	weekdays [7]float64 // Monday first
	loc      *time.Location
}

// profiles by name. Their highest factor is 1.
var profiles = map[string][2]string{
	"flat":   {"1*24", "1*7"},
	"office": {"0.05*6;0.1;0.3;0.7;1*3;0.7;1*5;0.6;0.35;0.2;0.15;0.1;0.05", "1*4;0.9;0.15*2"},
	"global": {"0.7;0.75;0.8;0.8;0.7*2;0.75;0.85;0.95;1*8;0.95;0.9;0.8;0.7*4", "0.9;1*3;0.95;0.4;0.35"},
}

// flat reports whether the factor is 1 at every moment.
func (p *profile) flat() bool {
	for _, f := range p.hours {
		if f != 1 {
			return false
		}
	}
	return p.weekdays == [7]float64{1, 1, 1, 1, 1, 1, 1}
}

// mean is the mean factor over a week.
func (p *profile) mean() float64 {
	h, d := 0.0, 0.0
	for _, f := range p.hours {
		h += f / 24
	}
	for _, f := range p.weekdays {
		d += f / 7
	}
	return h * d
}

// at returns the factor at a moment, and the end of its local hour.
func (p *profile) at(t time.Time) (factor float64, until time.Time) {
	local := t.In(p.loc)
	factor = p.hours[local.Hour()] * p.weekdays[(int(local.Weekday())+6)%7]
	into := time.Duration(local.Minute())*time.Minute + time.Duration(local.Second())*time.Second + time.Duration(local.Nanosecond())
	until = t.Add(time.Hour - into)
	if _, end := local.ZoneBounds(); !end.IsZero() && end.Before(until) && end.After(t) {
		until = end
	}
	return factor, until
}

// parseFactors reads a list such as 0.2*8;1*10;0.3*6 into to.
func parseFactors(text string, to []float64) error {
	n, sum := 0, 0.0
	for _, item := range strings.Split(text, ";") {
		value, times := strings.TrimSpace(item), "1"
		if v, t, ok := strings.Cut(value, "*"); ok {
			value, times = strings.TrimSpace(v), strings.TrimSpace(t)
		}
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || !(f >= 0 && f <= 1e6) {
			return fmt.Errorf("%q is not a factor", item)
		}
		k, err := strconv.Atoi(times)
		if err != nil || k < 1 {
			return fmt.Errorf("%q has no number of repetitions: write factor*times", item)
		}
		for range min(k, len(to)+1) {
			if n < len(to) {
				to[n] = f
			}
			n++
		}
		sum += f
	}
	switch {
	case n > len(to):
		return fmt.Errorf("there are more than %d factors", len(to))
	case n < len(to):
		return fmt.Errorf("there are %d factors, and %d are needed", n, len(to))
	case sum == 0:
		return fmt.Errorf("every factor is 0, so nothing would ever arrive")
	}
	return nil
}
