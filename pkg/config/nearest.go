package config

import (
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// fold drops what people vary without meaning anything by it: case and separators. IdleCount, idle-count and idle_count are one.
var fold = strings.NewReplacer("_", "", "-", "", " ", "")

// nearest returns the one of known that word was probably meant to be, or "" when none is near: at most a third of the letters may
// differ. The first of equally near ones wins.
func nearest(word string, known []string) string {
	const most = 64 // a longer word is no misspelling of anything
	w := fold.Replace(strings.ToLower(word))
	if w == "" || len(w) > most {
		return ""
	}
	best, bestDistance := "", len(w)
	for _, k := range known {
		f := fold.Replace(strings.ToLower(k))
		d := levenshtein.Distance(w, f, nil)
		if d <= min(len(w), len(f))/3 && (best == "" || d < bestDistance) {
			best, bestDistance = k, d
		}
	}
	return best
}

// meant is the remedy for a word that is not one of known.
func meant(word string, known []string) string {
	if n := nearest(word, known); n != "" {
		return `did you mean "` + n + `"?`
	}
	return "known: " + strings.Join(known, ", ")
}

func contains(list []string, word string) bool { return slices.Contains(list, word) }
