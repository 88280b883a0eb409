// Package random draws from what all share.
package random

import (
	"math/rand"
	v2 "math/rand/v2"
)

func f() {
	_ = rand.Intn(3)     // want "global randomness"
	_ = v2.IntN(3)       // want "global randomness"
	rand.Shuffle(0, nil) // want "global randomness"
	_ = v2.N(5)          // want "global randomness"
	draw := v2.Float64   // want "global randomness"
	_ = draw
}
