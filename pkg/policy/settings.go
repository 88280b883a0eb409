package policy

import (
	"fmt"
	"slices"
	"time"
)

// FactorMode says how the scale factor's part and idle_count make the idle target.
type FactorMode uint8

const (
	// FactorMax takes the larger of idle_count and the factor's part. It is the default.
	FactorMax FactorMode = iota
	// FactorAdd puts the factor's part on top of idle_count.
	FactorAdd
)

// String is the mode as it is written in a configuration: "max" or "add".
func (m FactorMode) String() string {
	if m == FactorAdd {
		return "add"
	}
	return "max"
}

// ParseFactorMode is the inverse of String; the empty text is the default.
func ParseFactorMode(text string) (FactorMode, error) {
	switch text {
	case "", "max":
		return FactorMax, nil
	case "add":
		return FactorAdd, nil
	}
	return FactorMax, fmt.Errorf(`scale_factor_mode %q is unknown: write "max" (the larger of idle_count and the factor's part) `+
		`or "add" (both together)`, text)
}

// Throttle bounds how fast instances are created: a token bucket.
type Throttle struct {
	Limit float64 // creates a second; 0 means 100, below 0 no throttle at all
	Burst int     // size of the bucket; 0 means the default (max_instances, else the limit)
}

// Settings are what a policy asks for while it holds. Counts are jobs (slots), not machines.
type Settings struct {
	IdleCount        int           // slots to keep free for jobs that have not come yet
	IdleTime         time.Duration // how long an instance without a job stays
	ScaleFactor      float64       // free slots to keep for each job that runs or waits; 0 means none
	ScaleFactorLimit int           // the most slots the factor may ask for; 0 means no limit
	ScaleFactorMode  FactorMode    // how the factor's part and IdleCount make the idle target
	Preemptive       bool          // take jobs only against slots that are free already
	Throttle         *Throttle     // replaces the group's throttle while the policy holds; nil keeps the group's
}

// DefaultSettings are what holds when no policy matches: nothing idle, and five minutes before an idle instance goes.
func DefaultSettings() Settings { return Settings{IdleTime: 5 * time.Minute} }

// clone copies what the settings point to, so that a schedule shares nothing with its caller.
func (s Settings) clone() Settings {
	if s.Throttle != nil {
		t := *s.Throttle
		s.Throttle = &t
	}
	return s
}

// Policy is one [[policy]] table as configured.
type Policy struct {
	Periods  []string // cron masks, any of which may match; none at all means always ("* * * * *")
	Timezone string   // IANA name; empty means the local zone given to [Compile]
	Settings
}

func clonePolicies(from []Policy) []Policy {
	all := slices.Clone(from)
	for i := range all {
		all[i].Periods = slices.Clone(all[i].Periods)
		all[i].Settings = all[i].clone()
	}
	return all
}
