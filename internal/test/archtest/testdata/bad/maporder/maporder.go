// Package maporder depends on the order of maps.
package maporder

import (
	"maps"
	"slices"
)

type set map[string]int

func f(m map[string]int, s set) (keys []string) {
	for k := range m { // want "map order"
		keys = append(keys, k)
	}
	for range s { // want "map order"
	}
	//archtest:unordered
	for k := range m { // want "map order"
		keys = append(keys, k)
	}
	for k := range maps.Keys(m) { // want "map order"
		keys = append(keys, k)
	}
	keys = slices.Collect(maps.Keys(s)) // want "map order"
	pick := maps.All(m)                 // want "map order"
	pick(func(string, int) bool { return false })
	return keys
}

func nested(m map[string]map[string]int) (n int) {
	for _, inner := range m { //archtest:unordered this one only adds
		for range inner { // want "map order"
			n++
		}
	}
	return n
}

func generic[M ~map[K]V, K comparable, V any](m M) (n int) {
	for range m { // want "map order"
		n++
	}
	return n
}
