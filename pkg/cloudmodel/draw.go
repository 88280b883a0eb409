package cloudmodel

// Stream separates independent sequences of random numbers that share a seed.
type Stream uint64

// The streams. Their numbers are part of every result that was published with a seed: append only.
const (
	StreamBoot           Stream = iota + 1 // by instance: boot time
	StreamBootFailure                      // by instance: does the boot fail
	StreamBootFailureAge                   // by instance: when the failed boot shows
	StreamSpot                             // by instance: time to its reclaim
	StreamDelete                           // by instance: how long its deletion takes
	StreamReady                            // by instance: the ready command; drawn by the simulator
	StreamCreate                           // by create: is it refused
	StreamPartial                          // by create: is it cut short
	StreamPartialCount                     // by create: how short
	StreamDeleteFailure                    // by delete: is it refused
	StreamList                             // by list: does it fail
	StreamOmit                             // by list and instance: is it left out
	StreamSlowCreate                       // by create: is it slow
	StreamSlowDelete                       // by delete: is it slow
	StreamSlowList                         // by list: is it slow
	StreamSlowTime                         // by call: how slow
)

const (
	golden    = 0x9e3779b97f4a7c15 // 2⁶⁴ over the golden ratio, odd
	spread    = 0xd1342543de82ef95 // another odd constant, so that seeds and streams do not trade places
	unitScale = 1.0 / (1 << 53)
)

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014), a bijection
// on 64-bit words in which every input bit moves about half of the output bits.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Uniform is the n-th number of a stream, in the open interval (0, 1). It is SplitMix64 addressed by its counter: no state, so the
// numbers can be asked for in any order.
func Uniform(seed uint64, s Stream, n uint64) float64 {
	base := mix(mix(seed+golden) + uint64(s)*spread)
	u := (float64(mix(base+n*golden)>>11) + 0.5) * unitScale
	return min(u, 1-unitScale) // the largest would round to 1, whose quantile is infinite
}
