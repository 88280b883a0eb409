// Package nearest finds the known name that a misspelled one probably stands for.
package nearest

import "strings"

// longest is the length in bytes of the longest text that counts as a misspelling; every known name is shorter.
const longest = 64

// few is how many known names a remedy lists in full.
const few = 14

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
		if d := distance(w, Fold(k)); best == "" || d < edits {
			best, edits = k, d
		}
	}
	return best, edits
}

// distance returns how many characters must be inserted, removed, replaced or exchanged with their neighbour to make b out of a, if none is changed twice.
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	before, last, row := make([]int, len(to)+1), make([]int, len(to)+1), make([]int, len(to)+1)
	for j := range row {
		row[j] = j // the distance from the part of a that was read to the first j characters of b
	}
	for i, r := range from {
		before, last, row = last, row, before // of two characters and of one character less of a
		row[0] = i + 1
		for j, s := range to {
			replaced := last[j]
			if r != s {
				replaced++
			}
			row[j+1] = min(replaced, row[j]+1, last[j+1]+1)
			if i > 0 && j > 0 && r == to[j-1] && from[i-1] == s {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(to)]
}

// Guess returns the known name that word probably stands for, or "" if none is near: about a third of the letters may differ, or the end is missing.
func Guess(word string, known []string) string {
	w := len(Fold(word))
	var candidates []string
	for _, k := range known { // each edit changes the length by at most one
		if f := len(Fold(k)); max(w, f)-min(w, f) <= allowed(w, f) {
			candidates = append(candidates, k)
		}
	}
	best, edits := Closest(word, candidates)
	near := best != "" && edits <= allowed(w, len(Fold(best)))
	if whole := completed(word, known); whole != "" && (!near || edits > 1) {
		return whole
	}
	if !near {
		return ""
	}
	return best
}

// completed returns the known name that word is the beginning of, if word is at least half of it, or "": proxy_jump_key_path for proxy_jump_key. If there are
// several, it is the one that lacks clearly less than the others.
func completed(word string, known []string) string {
	w := Fold(word)
	best, least, next := "", len(w)+1, 0 // letters that are missing; next is that of the second best
	for _, k := range known {
		missing := len(Fold(k)) - len(w)
		switch {
		case missing <= 0 || !strings.HasPrefix(Fold(k), w):
		case missing < least:
			if best != "" {
				next = least
			}
			best, least = k, missing
		case next == 0 || missing < next:
			next = missing
		}
	}
	if len(w) < 4 || best == "" || next > 0 && 2*next < 3*least {
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
