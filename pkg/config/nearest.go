package config

import (
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// fold removes differences that do not matter: case and separators. IdleCount, idle-count and idle_count become equal.
func fold(word string) string { return separators.Replace(strings.ToLower(word)) }

var separators = strings.NewReplacer("_", "", "-", "", " ", "")

// longestWord is longer than any key or value. A longer text cannot be a misspelling of one.
const longestWord = 64

// closest returns the word of known with the fewest edits from word, and the number of edits. Of several, the first wins.
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

// nearest returns the word of known that the user probably meant, or "". About a third of the letters may differ.
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

// allowed is the number of edits that are allowed between words of these lengths.
func allowed(a, b int) int { return (min(a, b) + 2) / 3 }

// begins returns the word of known that has nearly the same beginning as word, or "" when there is none or several. It finds policy for
// "policies" and capacity_per_instance for "capacity".
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

// meant returns the remedy for a word that is not in known.
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
			return `the most similar known key is "` + n + `"; docs/configuration.md lists all keys`
		}
		return "docs/configuration.md lists all keys"
	}
	return "write one of: " + strings.Join(known, ", ")
}

func contains(list []string, word string) bool { return slices.Contains(list, word) }
