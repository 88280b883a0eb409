package dst

import (
	"math/rand/v2"
	"time"
)

// stream names a source of random numbers. Each fault is a stream, too, with a number below streamConfig.
type stream uint64

const (
	streamConfig stream = 256 + iota
	streamSwarm
	streamJob
	streamMachine
	streamLatency
	streamLoop
	streamPoller
	streamRestart
	streamReload
	streamTwin
	numStreams
)

// dice draws random numbers by the key (seed, stream, number). The result of one key does not depend on earlier draws.
type dice struct {
	seed uint64
	pcg  rand.PCG
}

// at selects number n of stream s for the next draws.
func (d *dice) at(s stream, n uint64) *dice {
	d.pcg.Seed(d.seed*0x9e3779b97f4a7c15+uint64(s), n*0xd1342543de82ef95+uint64(s)<<48)
	d.pcg.Uint64()
	return d
}

// below is a random number from 0 to n−1.
func (d *dice) below(n int) int {
	if n <= 1 {
		return 0
	}
	return int((d.pcg.Uint64() >> 33) % uint64(n))
}

func (d *dice) chance(p float64) bool { return float64(d.pcg.Uint64()>>11)*0x1p-53 < p }

// span is a random duration from lo to hi, in whole milliseconds.
func (d *dice) span(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(d.below(int((hi-lo)/time.Millisecond)+1))*time.Millisecond
}

// skewed is a random duration from lo to hi that is usually short.
func (d *dice) skewed(lo, hi time.Duration) time.Duration {
	f := float64(d.pcg.Uint64()>>11) * 0x1p-53
	return (lo + time.Duration(f*f*f*float64(hi-lo))).Truncate(time.Millisecond)
}

func pick[T any](d *dice, from ...T) T { return from[d.below(len(from))] }
