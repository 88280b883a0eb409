package workload

import (
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// The random streams of this package. Their numbers are far from those of the cloud model.
const (
	streamScale  cloudmodel.Stream = 1<<32 + iota // by job: whether there is one more copy
	streamJitter                                  // by group of jobs and by copy: how far it is moved
	streamParts                                   // by part of a spec: see generate.go
)

const defaultJitter = time.Minute

// together is the largest distance between jobs that were probably started by one push.
const together = time.Second

// scale plays each job o.Scale times. The first copy is not moved.
func scale(list []simulate.Job, o *Options) []simulate.Job {
	whole := int(o.Scale)
	part := o.Scale - float64(whole)
	jitter := o.Jitter
	if jitter == 0 {
		jitter = defaultJitter
	}
	jitter = max(jitter, 0)
	out := make([]simulate.Job, 0, int(float64(len(list))*o.Scale)+16)
	group := uint64(0)
	for i, j := range list {
		if i > 0 && j.Arrival-list[i-1].Arrival > together {
			group++
		}
		copies := whole
		if part > 0 && cloudmodel.Uniform(o.Seed, streamScale, uint64(i)) < part {
			copies++
		}
		for n := range copies {
			k := j
			if n > 0 {
				u := cloudmodel.Uniform(o.Seed, streamJitter, group*maxScale+uint64(n))
				k.Arrival += time.Duration((u - 0.5) * float64(jitter))
				if k.Arrival < 0 { // before the start of the log: mirror it to the same distance after the start
					k.Arrival = -k.Arrival
				}
			}
			out = append(out, k)
		}
	}
	slices.SortStableFunc(out, func(a, b simulate.Job) int { return compare(a.Arrival, b.Arrival) })
	return out
}
