package policy

import (
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // zones must load on machines without a time zone database
)

// Schedule is a list of compiled policies. It is immutable, so any number of goroutines may use it. A nil Schedule has no policy.
type Schedule struct {
	rules []rule
	from  []Policy // what it was compiled from
	local *time.Location
}

// rule is one policy: when it matches, and what it asks for then.
type rule struct {
	cal      *calendar
	loc      *time.Location
	settings Settings
}

// Active is the policy that applies at an instant.
type Active struct {
	Index    int      // the policy's position counted from 0; -1: no policy matches
	Settings Settings // the policy's settings, or [DefaultSettings] when none matches
}

// Compile parses all periods and loads all time zones. An error joins one [*PeriodError] or [*ZoneError] for every fault. local is the time
// zone of policies that name none or "Local"; nil means UTC.
func Compile(policies []Policy, local *time.Location) (*Schedule, error) {
	if local == nil {
		local = time.UTC
	}
	s := &Schedule{rules: make([]rule, 0, len(policies)), from: clonePolicies(policies), local: local}
	zones := map[string]*time.Location{"": local, "Local": local}
	var faults []error
	for i := range policies {
		p := &policies[i]
		loc, err := loadZone(zones, i, p.Timezone)
		if err != nil {
			faults = append(faults, err)
		}
		periods, errs := parsePeriods(i, p.Periods)
		faults = append(append(faults, errs...), p.Settings.faults(i)...)
		if len(faults) == 0 {
			s.rules = append(s.rules, rule{cal: newCalendar(periods), loc: loc, settings: p.Settings.clone()})
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return s, nil
}

// faults names every setting of policy n (from 0) that has no meaning.
func (s *Settings) faults(n int) (faults []error) {
	for _, v := range []struct {
		name     string
		negative bool
	}{
		{"IdleCount", s.IdleCount < 0}, {"IdleTime", s.IdleTime < 0}, {"ScaleFactor", !(s.ScaleFactor >= 0)}, {"ScaleFactorLimit", s.ScaleFactorLimit < 0},
	} {
		if v.negative {
			faults = append(faults, fmt.Errorf("policy %d: %s is negative or not a number: use 0 or more", n+1, v.name))
		}
	}
	if s.Throttle != nil {
		if err := s.Throttle.Check(); err != nil {
			faults = append(faults, fmt.Errorf("policy %d: %w", n+1, err))
		}
	}
	return faults
}

func parsePeriods(policy int, texts []string) (periods []Period, faults []error) {
	if len(texts) == 0 {
		texts = []string{"* * * * *"}
	}
	for i, text := range texts {
		p, _, bad := parse(text)
		if bad != nil {
			faults = append(faults, &PeriodError{Policy: policy, Period: i, Text: text, Reason: bad.reason, Remedy: bad.remedy})
			continue
		}
		periods = append(periods, p)
	}
	return periods, faults
}

// loadZone loads each time zone once, so that policies with the same zone share it.
func loadZone(known map[string]*time.Location, policy int, name string) (*time.Location, error) {
	if loc, ok := known[name]; ok {
		return loc, nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, &ZoneError{Policy: policy, Text: name, Reason: "the time zone database has no such zone",
			Remedy: `write an IANA name with its capitals, such as "Europe/Berlin", "Asia/Seoul" or "UTC"`, Err: err}
	}
	known[name] = loc
	return loc, nil
}

// Len returns the number of policies.
func (s *Schedule) Len() int {
	if s == nil {
		return 0
	}
	return len(s.rules)
}

// At returns the policy that applies at t: the last one with a period that contains the local minute of t in the policy's time zone.
func (s *Schedule) At(t time.Time) Active {
	if i := s.winner(t); i >= 0 {
		return Active{Index: i, Settings: s.rules[i].settings}
	}
	return Active{Index: -1, Settings: DefaultSettings()}
}

func (s *Schedule) winner(t time.Time) int {
	if s == nil {
		return -1
	}
	var loc *time.Location
	var local time.Time
	for i := len(s.rules) - 1; i >= 0; i-- {
		r := &s.rules[i]
		if r.loc != loc { // neighbours often have the same zone
			loc = r.loc
			_, offset := t.In(loc).Zone()
			local = time.Unix(t.Unix()+int64(offset), 0).UTC()
		}
		if r.cal.holds(local) {
			return i
		}
	}
	return -1
}

// NextChange returns the earliest instant after t at which the Index of [Schedule.At] changes, in the location of t. ok is false when there
// is none within 400 years, after which calendar and clock changes repeat.
func (s *Schedule) NextChange(t time.Time) (next time.Time, ok bool) {
	if s == nil {
		return time.Time{}, false
	}
	from := t.Unix()
	if from < -maxUnix || from > maxUnix {
		return time.Time{}, false
	}
	best := from + horizon
	now := s.winner(t)
	// No policy after the winner matches now, so the first of them that does becomes the winner. Policies before the winner matter only
	// when it ends.
	for i := len(s.rules) - 1; i > now; i-- {
		best = s.rules[i].next(from, best, true)
	}
	if now >= 0 {
		best = s.rules[now].next(from, best, false)
	}
	if best == from+horizon {
		return time.Time{}, false
	}
	return time.Unix(best, 0).In(t.Location()), true
}
