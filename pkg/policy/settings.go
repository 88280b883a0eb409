package policy

import (
	"fmt"
	"slices"
	"time"
)

// FactorMode says how the scale factor's part and idle_count are combined to the idle target.
type FactorMode uint8

const (
	// FactorMax takes the larger of the two. It is the default.
	FactorMax FactorMode = iota
	// FactorAdd takes the sum of the two.
	FactorAdd
)

// String returns the mode as a configuration names it: "max" or "add".
func (m FactorMode) String() string {
	if m == FactorAdd {
		return "add"
	}
	return "max"
}

// Throttle limits how fast instances are created. It is a token bucket.
type Throttle struct {
	Limit float64 // creates per second; 0: 100; below 0: no throttle
	Burst int     // size of the bucket; 0: max_instances, or else the limit
}

// MinLimit is the lowest Limit of a Throttle: one create a year. A lower one is a slip of the pen, or means that nothing should be created.
const MinLimit = 1.0 / (365 * 24 * 3600)

// Check returns an error if t has no meaning.
func (t Throttle) Check() error {
	if t.Limit > 0 && t.Limit < MinLimit {
		return fmt.Errorf("a throttle limit of %v a second is less than one create a year: use a higher one, or a negative one for no throttle", t.Limit)
	}
	return nil
}

// Settings are what a policy asks for while it is active. Counts are slots (jobs), not instances.
type Settings struct {
	IdleCount        int           // slots to keep free for jobs that have not arrived yet
	IdleTime         time.Duration // how long an instance without a job is kept
	ScaleFactor      float64       // free slots to keep for each job that runs or waits; 0: none
	ScaleFactorLimit int           // the largest number of slots that the factor may ask for; 0: no limit
	ScaleFactorMode  FactorMode    // how the factor's part and IdleCount are combined to the idle target
	Preemptive       bool          // accept a job only when a slot is already free for it. Default: false (in config.toml it is on where idle_count is above 0)
	Throttle         *Throttle     // replaces the group's throttle while the policy is active; nil: the group's
}

// DefaultSettings apply when no policy matches: no idle slots, and an idle instance is retired after five minutes.
func DefaultSettings() Settings { return Settings{IdleTime: 5 * time.Minute} }

// clone copies what the settings point to, so that a schedule shares nothing with the caller.
func (s Settings) clone() Settings {
	if s.Throttle != nil {
		t := *s.Throttle
		s.Throttle = &t
	}
	return s
}

// Policy is one [[policy]] table of the configuration.
type Policy struct {
	Periods  []string // cron lines, any of which may match; none: always ("* * * * *")
	Timezone string   // IANA name; empty: the local zone given to [Compile]
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
