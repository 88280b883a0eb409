package draw

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// Gen draws a value of some kind.
type Gen[V any] func(*T) V

// Draw draws a value and notes it under the label, for the report of a failure.
func (g Gen[V]) Draw(t *T, label string) V {
	t.depth++
	v := g(t)
	if t.depth--; t.depth == 0 {
		t.log = append(t.log, fmt.Sprintf("%s = %#v", label, v))
	}
	return v
}

type integer interface {
	~int | ~int64 | ~int32 | ~uint8 | ~uint64
}

// Range draws from lo to hi, both included. The ends and small numbers are more frequent than others.
func Range[I integer](lo, hi I) Gen[I] {
	if lo > hi {
		panic(fmt.Sprintf("draw: no number is from %d to %d", lo, hi))
	}
	return func(t *T) I {
		switch {
		case lo >= 0:
			return lo + I(t.choice(uint64(hi-lo), true))
		case hi <= 0:
			return hi - I(t.choice(uint64(hi)-uint64(lo), true))
		case t.choice(1, false) == 0:
			return I(t.choice(uint64(hi), true))
		}
		return ^I(t.choice(uint64(^lo), true)) // from -1 down to lo
	}
}

// Int draws any int.
func Int() Gen[int] { return Range(math.MinInt, math.MaxInt) }

// Int64 draws any int64.
func Int64() Gen[int64] { return Range[int64](math.MinInt64, math.MaxInt64) }

// Uint64 draws any uint64.
func Uint64() Gen[uint64] { return Range[uint64](0, math.MaxUint64) }

// Byte draws any byte.
func Byte() Gen[byte] { return Range[byte](0, math.MaxUint8) }

// Bool draws true as often as false.
func Bool() Gen[bool] { return func(t *T) bool { return t.choice(1, false) == 1 } }

// FloatRange draws from lo to hi, both included.
func FloatRange(lo, hi float64) Gen[float64] {
	return func(t *T) float64 {
		const parts = 1 << 53
		return min(lo+(hi-lo)*(float64(t.choice(parts, true))/parts), hi)
	}
}

// Float64 draws any finite number, of any size.
func Float64() Gen[float64] {
	return func(t *T) float64 {
		v := t.choice(math.MaxUint64, true)
		if f := math.Float64frombits(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
		return float64(int64(v))
	}
}

// From draws one of the values, each as often as the others. The first is the simplest.
func From[V any](values []V) Gen[V] {
	return func(t *T) V { return values[t.choice(uint64(len(values)-1), false)] }
}

// OneOf draws from one of the generators, each as often as the others.
func OneOf[V any](gens ...Gen[V]) Gen[V] {
	return func(t *T) V { return From(gens)(t)(t) }
}

// Just draws v.
func Just[V any](v V) Gen[V] { return func(*T) V { return v } }

// Map draws from g and applies f.
func Map[V, W any](g Gen[V], f func(V) W) Gen[W] { return func(t *T) W { return f(g(t)) } }

// Slice draws from lo to hi elements.
func Slice[V any](g Gen[V], lo, hi int) Gen[[]V] {
	return func(t *T) []V {
		out := []V{}
		for range Range(lo, hi)(t) {
			out = append(out, g(t))
		}
		return out
	}
}

// Distinct draws at most hi elements, no two with one key.
func Distinct[V any, K comparable](g Gen[V], hi int, key func(V) K) Gen[[]V] {
	return func(t *T) []V {
		out, seen := []V{}, map[K]bool{}
		for range Range(0, hi)(t) {
			if v := g(t); !seen[key(v)] {
				seen[key(v)] = true
				out = append(out, v)
			}
		}
		return out
	}
}

// MapOf draws a map of at most hi entries.
func MapOf[K comparable, V any](k Gen[K], v Gen[V], hi int) Gen[map[K]V] {
	return func(t *T) map[K]V {
		out := map[K]V{}
		for range Range(0, hi)(t) {
			out[k(t)] = v(t)
		}
		return out
	}
}

// Permutation draws an order of the values. It does not change the slice.
func Permutation[V any](values []V) Gen[[]V] {
	return func(t *T) []V {
		out := append([]V{}, values...)
		for i := range out {
			j := i + int(t.choice(uint64(len(out)-1-i), false))
			out[i], out[j] = out[j], out[i]
		}
		return out
	}
}

// awkward are characters that formats, file names and terminals trip over.
var awkward = []rune("\x00\n\r\t\x1b\x7f \"'\\/.:-_%$#[]{}=,éßİıſ日✓😀\u0301\u00a0\u200b\u202e\u2028\ufeff\ufffd\U0010ffff")

// Rune draws any character: letters, awkward ones, and all of Unicode.
func Rune() Gen[rune] {
	every := Map(Range[rune](0, utf8.MaxRune), func(r rune) rune {
		if !utf8.ValidRune(r) {
			return utf8.RuneError
		}
		return r
	})
	return OneOf(Range('a', 'z'), Range(' ', '~'), From(awkward), every)
}

// String draws up to 32 characters of every kind.
func String() Gen[string] { return StringOf(Rune(), 0, 32) }

// StringOf draws from lo to hi characters.
func StringOf(g Gen[rune], lo, hi int) Gen[string] {
	return Map(Slice(g, lo, hi), func(r []rune) string { return string(r) })
}
