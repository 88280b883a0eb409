package cloudmodel

// Stream separates independent sequences of random numbers that share a seed.
type Stream uint64

// The streams. Published results with a seed depend on their numbers, so new streams are only appended.
const (
	streamBoot           Stream = iota + 1 // by instance: boot time
	streamBootFailure                      // by instance: whether the boot fails
	streamBootFailureAge                   // by instance: when the failed boot becomes visible
	streamSpot                             // by instance: time until it is reclaimed
	streamDelete                           // by instance: duration of its deletion
	StreamReady                            // by instance: the ready command; drawn by the simulator
	streamCreate                           // by create: whether it is refused
	streamPartial                          // by create: whether it succeeds only in part
	streamPartialCount                     // by create: how many instances a partial create creates
	streamDeleteFailure                    // by delete: whether it is refused
	streamList                             // by list: whether it fails
	streamOmit                             // by list and instance: whether it is omitted
	streamSlowCreate                       // by create: whether it is slow
	streamSlowDelete                       // by delete: whether it is slow
	streamSlowList                         // by list: whether it is slow
	streamSlowTime                         // by call: how slow
)

const (
	golden    = 0x9e3779b97f4a7c15 // 2⁶⁴ divided by the golden ratio, odd
	spread    = 0xd1342543de82ef95 // another odd constant, so that seeds and streams are not interchangeable
	unitScale = 1.0 / (1 << 53)
)

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014). It is a bijection
// on 64-bit words; every input bit changes about half of the output bits.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Uniform returns the n-th number of a stream, in the open interval (0, 1). It is SplitMix64 addressed by its counter. It has no state, so
// the numbers can be drawn in any order.
func Uniform(seed uint64, s Stream, n uint64) float64 {
	base := mix(mix(seed+golden) + uint64(s)*spread)
	u := (float64(mix(base+n*golden)>>11) + 0.5) * unitScale
	return min(u, 1-unitScale) // the largest value would round to 1, whose quantile is infinite
}
