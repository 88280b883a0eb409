package cloudmodel

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
)

// State is the state of an instance, as the cloud reports it.
type State uint8

// The states.
const (
	Creating State = iota + 1 // not running yet
	Running                   // up
	Failed                    // the provider gave up on it; it must still be deleted
	Deleting                  // being deleted or reclaimed
)

// none is the state of a machine that does not exist: not yet, or no longer.
const none State = 0

var (
	stateNames    = [...]string{"none", "creating", "running", "failed", "deleting"}
	providerWords = [...]string{"deleted", "creating", "running", "timeout", "deleting"}
)

// String returns the state's name.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "invalid"
}

// ProviderWord returns the state as a provider's list says it, in the words of package provider.
func (s State) ProviderWord() string { return providerWords[s] }

// Cloud is the model of one group. It is not safe for concurrent use. The time passed to its methods must not go back: an earlier time
// counts as the latest one.
type Cloud struct {
	cfg       Config
	seed      uint64
	boot      Sampler
	failAfter Sampler
	del       Sampler
	slow      Sampler

	now     time.Duration
	count   Counters
	alive   int              // machines that exist
	machine []machine        // slots of all machines; free slots are chained by next
	free    int32            // first free slot, or nowhere
	first   int32            // list of machines in ascending order of number, including remembered dead ones
	last    int32            //
	index   map[uint64]int32 // number → slot
	heap    []timer          // the next change of each machine
	dead    deadQueue        // machines that are gone, but still appear in lists that lag
	pending []Event          // events that happened, but were not returned by Advance yet
}

// Counters are the positions in the random streams, and the last instance number used. A restart needs only these and the instances.
type Counters struct {
	Instances uint64 `json:"instances"` // last number used; the first instance has number 1
	Creates   uint64 `json:"creates"`   // number of calls so far
	Deletes   uint64 `json:"deletes"`
	Lists     uint64 `json:"lists"`
}

// New returns an empty cloud at time 0. It returns the errors of Config.Validate.
func New(cfg Config, seed uint64) (*Cloud, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Cloud{cfg: cfg, seed: seed, index: make(map[uint64]int32), free: nowhere, first: nowhere, last: nowhere}
	for _, s := range [...]struct {
		to   *Sampler
		from Distribution
	}{{&c.boot, cfg.Boot}, {&c.failAfter, cfg.BootFailure.After}, {&c.del, cfg.Delete}, {&c.slow, cfg.SlowCall.Delay}} {
		sampler, err := s.from.Sampler()
		if err != nil {
			return nil, err
		}
		*s.to = sampler
	}
	return c, nil
}

// Counters returns the current counters.
func (c *Cloud) Counters() Counters { return c.count }

// SetCounters sets the counters, to continue an earlier cloud.
func (c *Cloud) SetCounters(n Counters) { c.count = n }

func (c *Cloud) draw(s Stream, n uint64) float64 { return Uniform(c.seed, s, n) }

// happens draws whether an event of probability p occurs. It draws no number when p is 0.
func (c *Cloud) happens(p float64, s Stream, n uint64) bool { return p > 0 && c.draw(s, n) < p }

// delay returns the delay of a call. The three kinds of call share one stream for it, interleaved.
func (c *Cloud) delay(s Stream, n uint64) time.Duration {
	if !c.happens(c.cfg.SlowCall.Probability, s, n) {
		return 0
	}
	return c.slow.Sample(c.draw(streamSlowTime, 4*n+uint64(s-streamSlowCreate)))
}

// Created is the answer to a create. The new instances have the numbers First to First+Made-1.
type Created struct {
	First   uint64
	Made    int             // instances that were created
	Told    int             // instances that the answer reports: Made, or 0 when the answer is an error although the instances were created
	Failure failure.Failure // why the others were not created, or the error that the answer claims
	Delay   time.Duration   // how long the answer takes
}

// Create asks for n more instances, n > 0. They exist from now on, even if the answer is slow.
func (c *Cloud) Create(now time.Duration, n int) Created {
	c.settle(now)
	k := c.count.Creates
	c.count.Creates++
	r := Created{First: c.count.Instances + 1, Delay: c.delay(streamSlowCreate, k)}
	refused, lost := c.createError(k)
	if refused.Failed() && !lost {
		r.Failure = refused
		return r
	}
	r.Made, r.Failure = c.grant(k, n)
	for range r.Made {
		c.count.Instances++
		c.add(c.count.Instances, c.now, c.Fate(c.count.Instances))
	}
	r.Told = r.Made
	if lost {
		r.Told, r.Failure = 0, refused
	}
	return r
}

// createError draws whether the k-th create is refused. lost means that the create happens nevertheless.
func (c *Cloud) createError(k uint64) (f failure.Failure, lost bool) {
	if len(c.cfg.CreateErrors) == 0 {
		return f, false
	}
	u, until := c.draw(streamCreate, k), 0.0
	for i := range c.cfg.CreateErrors {
		e := &c.cfg.CreateErrors[i]
		if !e.contains(c.now) {
			continue
		}
		if until += e.Probability; u < until {
			return e.failure("the create was refused"), e.Created
		}
	}
	return f, false
}

// grant returns how many of n instances the k-th create creates, and why not all.
func (c *Cloud) grant(k uint64, n int) (made int, why failure.Failure) {
	for i := range c.cfg.StockOut.Windows {
		if c.cfg.StockOut.Windows[i].contains(c.now) {
			return 0, failure.Failure{Kind: failure.Capacity, Message: "no machines of this kind are in stock"}
		}
	}
	made = n
	if limit, limited := c.quota(); limited && made > limit-c.alive {
		made, why = limit-c.alive, failure.Failure{Kind: failure.Quota, Message: "the account's quota is used up"}
	}
	if limit := c.cfg.MaxSize; limit > 0 && made > limit-c.alive {
		made, why = limit-c.alive, failure.Failure{Kind: failure.Quota, Message: "the group's max_size is reached"}
	}
	made = max(made, 0)
	if made > 1 && c.happens(c.cfg.Partial.Probability, streamPartial, k) {
		made = int(c.draw(streamPartialCount, k) * float64(made))
		why = failureOf(c.cfg.Partial.Kind, failure.Capacity, "only a part of the instances could be made")
	}
	return made, why
}

// quota returns the limit now, and whether there is one.
func (c *Cloud) quota() (limit int, limited bool) {
	limit = c.cfg.Quota.Limit
	limited = limit > 0
	for i := range c.cfg.Quota.Windows {
		if w := &c.cfg.Quota.Windows[i]; w.contains(c.now) {
			limit, limited = w.Limit, true
		}
	}
	return limit, limited
}

// Deleted is the answer to a delete.
type Deleted struct {
	Known   bool            // the instance existed; if not, it is deleted already
	Failure failure.Failure // the delete was refused and must be sent again
	Delay   time.Duration   // how long the answer takes
}

// Delete asks for the deletion of instance number n. Asking again changes nothing.
func (c *Cloud) Delete(now time.Duration, n uint64) Deleted {
	c.settle(now)
	k := c.count.Deletes
	c.count.Deletes++
	r := Deleted{Delay: c.delay(streamSlowDelete, k)}
	if c.happens(c.cfg.DeleteFailure.Probability, streamDeleteFailure, k) {
		r.Failure = c.cfg.DeleteFailure.failure("the delete was refused")
		return r
	}
	slot, known := c.find(n)
	if known {
		r.Known = true
		c.askDelete(slot, c.now)
	}
	return r
}

// failure returns the failure of a refused call.
func (f CallFailure) failure(message string) failure.Failure {
	out := failureOf(f.Kind, failure.Transient, message)
	out.RetryAfter = f.RetryAfter.Value()
	return out
}

func failureOf(kind string, absent failure.Kind, message string) failure.Failure {
	k := absent
	if kind != "" {
		k = failure.Parse(kind)
	}
	return failure.Failure{Kind: k, Message: message}
}
