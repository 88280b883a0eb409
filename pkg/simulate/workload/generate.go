package workload

import (
	"math"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// never is later than every moment.
const never = math.MaxInt64

// The random streams of a part, counted from the part's first stream.
const (
	drawGap    = iota // by arrival: the time since the arrival before it
	drawLength        // by job: how long it runs
	drawsOfPart
)

// part generates the jobs of one part of a spec. Times are ns from the start of the workload.
type part struct {
	spec  *partSpec
	tag   int
	seed  uint64
	gaps  cloudmodel.Stream
	sizes cloudmodel.Stream
	start time.Time

	at      int64  // arrival of the next job; never: no job is left
	made    uint64 // jobs made, without the next one
	random  int64  // next arrival of the Poisson process; never: none is left
	k       uint64 // number of that arrival
	hour    int64  // with a profile: end of the current hour
	rate    float64
	burst   int64 // next burst; never: none is left
	left    int   // jobs left in it
	bursty  bool  // the next job belongs to the burst
	endless bool  // there is no profile: the current hour never ends
}

func (p *part) begin(spec *partSpec, number, tag int, seed uint64, start time.Time) {
	first := streamParts + cloudmodel.Stream(number*drawsOfPart)
	*p = part{spec: spec, tag: tag, seed: seed, gaps: first + drawGap, sizes: first + drawLength, start: start}
	p.random, p.burst = never, never
	if spec.rate > 0 {
		p.random, p.hour = spec.from, spec.from
		if p.endless = spec.profile.flat(); p.endless {
			p.rate, p.hour = spec.rate, never
		}
		p.step()
	}
	if spec.size > 0 {
		p.burst, p.left = spec.from+spec.offset, spec.size
	}
	p.choose()
}

// step finds the next arrival of the Poisson process: an exponential step of the integrated rate.
func (p *part) step() {
	area := -math.Log(cloudmodel.Uniform(p.seed, p.gaps, p.k))
	p.k++
	for {
		if p.random >= p.hour {
			p.turn()
		}
		if need := area / p.rate; p.endless || need < float64(p.hour-p.random) {
			if !(need < float64(p.spec.until-p.random)) {
				p.random = never
				return
			}
			p.random = min(p.random+int64(math.Round(need)), p.hour)
			return
		}
		area -= p.rate * float64(p.hour-p.random)
		if p.random = p.hour; p.random >= p.spec.until {
			p.random = never
			return
		}
	}
}

// turn begins the hour that contains p.random.
func (p *part) turn() {
	factor, until := p.spec.profile.at(p.start.Add(time.Duration(p.random)))
	p.rate = p.spec.rate * factor
	p.hour = max(int64(until.Sub(p.start)), p.random+1)
}

// choose takes the earlier of the next Poisson arrival and the next burst.
func (p *part) choose() {
	p.bursty = p.burst < p.random
	p.at = min(p.random, p.burst)
	if p.at >= p.spec.until || p.made >= p.spec.jobs {
		p.at = never
	}
}

// draw returns the run time of the next job.
func (p *part) draw() time.Duration {
	if p.spec.length.fixed {
		return p.spec.length.Sample(0)
	}
	return p.spec.length.sample(cloudmodel.Uniform(p.seed, p.sizes, p.made))
}

// next moves on to the next job.
func (p *part) next() {
	p.made++
	if !p.bursty {
		p.step()
	} else if p.left--; p.left == 0 {
		p.burst += p.spec.every // no overflow: both are less than a hundred years
		p.left = p.spec.size
	}
	p.choose()
}
