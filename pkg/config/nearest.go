package config

import (
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// fold drops what people vary without meaning anything by it: case and separators. IdleCount, idle-count and idle_count are one.
func fold(word string) string { return separators.Replace(strings.ToLower(word)) }

var separators = strings.NewReplacer("_", "", "-", "", " ", "")

// longestWord is more than any key or value has; a longer text is no misspelling of anything.
const longestWord = 64

// closest returns the one of known with the least edits from word, and their number. The first of equally close ones wins.
func closest(word string, known []string) (best string, edits int) {
	w := fold(word)
	if w == "" || len(w) > longestWord {
		return "", 0
	}
	for _, k := range known {
		if d := levenshtein.Distance(w, fold(k), nil); best == "" || d < edits {
			best, edits = k, d
		}
	}
	return best, edits
}

// nearest returns the one of known that word was probably meant to be, or "": about a third of the letters may differ.
func nearest(word string, known []string) string {
	w := len(fold(word))
	var candidates []string
	for _, k := range known { // each edit changes the length by at most one
		if f := len(fold(k)); max(w, f)-min(w, f) <= allowed(w, f) {
			candidates = append(candidates, k)
		}
	}
	best, edits := closest(word, candidates)
	if best == "" || edits > allowed(w, len(fold(best))) {
		return ""
	}
	return best
}

// allowed is how many edits may lie between words of these lengths.
func allowed(a, b int) int { return (min(a, b) + 2) / 3 }

// begins returns the only one of known that begins nearly as word does, or "": policies for policy, capacity for capacity_per_instance.
func begins(word string, known []string) string {
	w, found := fold(word), ""
	for _, k := range known {
		f := fold(k)
		short := min(len(w), len(f))
		if common := commonPrefix(w, f); common < 4 || common < short*3/4 {
			continue
		}
		if found != "" {
			return ""
		}
		found = k
	}
	return found
}

func commonPrefix(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// meant is the remedy for a word that is not one of known.
func meant(word string, known []string) string {
	const few = 12
	if n := nearest(word, known); n != "" {
		return `did you mean "` + n + `"?`
	}
	if n := begins(word, known); n != "" {
		return `did you mean "` + n + `"?`
	}
	if len(known) > few {
		if n, _ := closest(word, known); n != "" {
			return `the nearest known one is "` + n + `"`
		}
		return "the known ones are in docs/configuration.md"
	}
	return "known: " + strings.Join(known, ", ")
}

func contains(list []string, word string) bool { return slices.Contains(list, word) }
