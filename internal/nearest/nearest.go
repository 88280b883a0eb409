// Package nearest finds the known name that a misspelled one probably stands for.
package nearest

import (
	"strings"

	"github.com/agext/levenshtein"
)

// longest is the length in bytes of the longest text that counts as a misspelling; every known name is shorter.
const longest = 64

// few is how many known names a remedy lists in full.
const few = 12

var separators = strings.NewReplacer("_", "", "-", "", " ", "")

// Fold removes case and separators: IdleCount, idle-count and idle_count become the same text.
func Fold(word string) string { return separators.Replace(strings.ToLower(word)) }

// Closest returns the known name with the fewest edits from word, and the number of edits. The first of equally close names wins. It
// returns "" if known is empty, or if word is empty or longer than 64 bytes.
func Closest(word string, known []string) (best string, edits int) {
	w := Fold(word)
	if w == "" || len(w) > longest {
		return "", 0
	}
	for _, k := range known {
		if d := levenshtein.Distance(w, Fold(k), nil); best == "" || d < edits {
			best, edits = k, d
		}
	}
	return best, edits
}

// Guess returns the known name that word probably stands for, or "" if none is near: about a third of the letters may differ.
func Guess(word string, known []string) string {
	w := len(Fold(word))
	var candidates []string
	for _, k := range known { // each edit changes the length by at most one
		if f := len(Fold(k)); max(w, f)-min(w, f) <= allowed(w, f) {
			candidates = append(candidates, k)
		}
	}
	best, edits := Closest(word, candidates)
	if best == "" || edits > allowed(w, len(Fold(best))) {
		return ""
	}
	return best
}

// allowed returns how many edits two words of these lengths may differ by.
func allowed(a, b int) int { return (min(a, b) + 2) / 3 }

// begins returns the only known name that begins as word does, or "": policy for policies, capacity_per_instance for capacity.
func begins(word string, known []string) string {
	w, found := Fold(word), ""
	for _, k := range known {
		f := Fold(k)
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

// Remedy returns what to tell a user who wrote word, which is not one of known. It proposes the name that was probably meant. Without
// such a name it lists the known ones if they are few, and otherwise gives the closest one. manual is where all of them are documented.
func Remedy(word string, known []string, manual string) string {
	meant := Guess(word, known)
	if meant == "" {
		meant = begins(word, known)
	}
	closest, _ := Closest(word, known)
	switch {
	case meant != "":
		return DidYouMean(meant)
	case len(known) == 0:
		return "it has none"
	case len(known) <= few:
		return "write one of: " + strings.Join(known, ", ")
	case closest == "":
		return manual + " lists all keys"
	}
	return `the most similar known key is "` + closest + `"; ` + manual + " lists all keys"
}

// DidYouMean proposes name.
func DidYouMean(name string) string { return `did you mean "` + name + `"?` }
