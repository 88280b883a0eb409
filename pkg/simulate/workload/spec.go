package workload

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

const (
	maxParts    = 64
	maxExpected = 1e10 // jobs; a spec with more is a typing error
)

// Synthetic is a workload that is generated while it is read, so its memory does not grow. It depends only on its spec, seed and start. The
// duration of job n of a part depends only on n and the seed.
type Synthetic struct {
	parts []part
	names []string
	spec  []partSpec
	seed  uint64
	start time.Time
}

// Spec makes the workload that a text describes. start is the wall clock at arrival 0; profiles need it. Its errors are *SpecError.
//
// A spec is one part, or several parts joined by "+". A part is a kind and its keys, "kind:key=value,key=value". The kinds:
//
//	poisson  independent random arrivals. rate=N/UNIT is required: 0.05/s, 3/m, 300/h, 2000/d, or 1/20s
//	burst    size=N jobs at once, every=DURATION, the first offset=DURATION after the start (default 0s)
//
// Keys of both kinds:
//
//	duration=KIND   how long jobs run: 600s (or const:600s); exp:600s (its mean); lognormal:p50=4m,p95=25m;
//	                hyperexp:p=0.9,a=60s,b=1800s (exponential with mean a at probability p, else with mean b; mean p·a + (1−p)·b);
//	                empirical:30s;2m;9m (each equally likely). Required.
//	jobs=N, for=D   the part ends at whichever comes first; one of them is required. D is a duration such as 90m, 12h, 30d or 4w
//	from=D          when the part begins, after the start of the workload (default 0s); for=D counts from here
//	tag=NAME        the tag of its jobs
//
// Keys of poisson only:
//
//	burst=40/1h     in addition, 40 jobs at once each hour, the first at the beginning
//	hours=LIST      24 factors of the rate, by hour of the day: 0.2*8;1*10;0.3*6 is 8 hours of 0.2, 10 of 1, 6 of 0.3
//	weekdays=LIST   7 factors, Monday first: 1*5;0.3;0.2
//	profile=NAME    both at once: office (office hours of one place), global (a company around the world), flat; hours and weekdays override it
//	tz=ZONE         the time zone of hours and weekdays, such as Asia/Seoul (default UTC)
//
// The rate is the rate where the factors are 1. Arrivals with a profile are an exact Poisson process with the rate of each moment: unit
// exponential steps of the integrated rate, inverted hour by hour (Çinlar 1975; Lewis and Shedler 1979 compare the methods). This is not
// thinning, so each job takes one random number. An hour that a change of daylight saving time skips or repeats is skipped or repeated
// here, too.
func Spec(text string, seed uint64, start time.Time) (*Synthetic, error) {
	specs, err := parseSpec(text)
	if err != nil {
		return nil, err
	}
	s := &Synthetic{spec: specs, seed: seed, start: start, names: []string{""}}
	for i := range specs {
		if specs[i].tag != "" && !slices.Contains(s.names, specs[i].tag) {
			s.names = append(s.names, specs[i].tag)
		}
	}
	s.rewind()
	return s, nil
}

// IsSpec reports whether a text is a spec and not the name of a file. A spec begins with a word of at least two letters and a colon that no
// slash follows. (Write ./name for a file with such a name.)
func IsSpec(text string) bool {
	word, rest, ok := strings.Cut(strings.TrimSpace(text), ":")
	if !ok || len(word) < 2 || strings.HasPrefix(rest, "/") || strings.HasPrefix(rest, `\`) {
		return false
	}
	for _, r := range word {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return true
}

func (s *Synthetic) rewind() {
	s.parts = make([]part, len(s.spec))
	for i := range s.parts {
		s.parts[i].begin(&s.spec[i], i, slices.Index(s.names, s.spec[i].tag), s.seed, s.start)
	}
}

// Reseed returns the workload of the same spec with another seed.
func (s *Synthetic) Reseed(seed uint64) *Synthetic {
	c := &Synthetic{spec: s.spec, names: s.names, seed: seed, start: s.start}
	c.rewind()
	return c
}

// Tags implements simulate.Workload.
func (s *Synthetic) Tags() []string { return s.names }

// Expected is the approximate number of jobs. It is exact if every part ends after a number of jobs.
func (s *Synthetic) Expected() int {
	n := 0.0
	for i := range s.spec {
		n += s.spec[i].expected()
	}
	return int(math.Round(n))
}

// Next implements simulate.Workload. Jobs of different parts that arrive together come in the order of the parts.
func (s *Synthetic) Next() (simulate.Job, bool) {
	best := &s.parts[0]
	for i := 1; i < len(s.parts); i++ {
		if p := &s.parts[i]; p.at < best.at {
			best = p
		}
	}
	if best.at == never {
		return simulate.Job{}, false
	}
	j := simulate.Job{Arrival: time.Duration(best.at), Duration: best.draw(), Tag: best.tag}
	best.next()
	return j, true
}

// lengths draws durations.
type lengths struct {
	cloudmodel.Sampler
	other cloudmodel.Sampler // the second branch of a hyperexponential distribution
	p     float64            // probability of the first branch
	fixed bool               // all jobs have the same duration: no random number is needed
}

// sample is the duration for the uniform random number u. For a hyperexponential distribution, u first chooses the branch; the rest of u is
// then the random number of that branch.
func (l *lengths) sample(u float64) time.Duration {
	const most = 1 - 1.0/(1<<53)
	switch {
	case l.p == 1:
		return l.Sample(min(u, most))
	case u < l.p:
		return l.Sample(min(u/l.p, most))
	}
	return l.other.Sample(min((u-l.p)/(1-l.p), most))
}
