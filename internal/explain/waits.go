package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Split is waiting time, by the cause of the wait.
type Split map[record.Cause]time.Duration

// Share is a part of a Split.
type Share struct {
	Cause    string  `json:"cause"` // a name of record.Cause
	Seconds  float64 `json:"seconds"`
	Sentence string  `json:"sentence"` // continues "waited"
}

// add adds d to the time of cause.
func (s Split) add(cause record.Cause, d time.Duration) {
	if d > 0 {
		s[cause] += d
	}
}

// Total returns the sum of all parts.
func (s Split) Total() (sum time.Duration) {
	for _, d := range s { //archtest:unordered a sum
		sum += d
	}
	return sum
}

// Shares returns the parts, the largest first.
func (s Split) Shares() []Share {
	causes := make([]record.Cause, 0, len(s))
	for c := range s { //archtest:unordered sorted below
		causes = append(causes, c)
	}
	slices.SortFunc(causes, func(a, b record.Cause) int {
		if s[a] != s[b] {
			if s[a] > s[b] {
				return -1
			}
			return 1
		}
		return int(a) - int(b)
	})
	out := make([]Share, 0, len(causes))
	for _, c := range causes {
		out = append(out, Share{Cause: c.String(), Seconds: s[c].Seconds(), Sentence: observe.Wait(c)})
	}
	return out
}

// String returns, for example, "34s = 20s for an instance to boot + 14s because …".
func (s Split) String() string {
	shares := s.Shares()
	switch len(shares) {
	case 0:
		return words.Span(0)
	case 1:
		return words.Span(s.Total()) + " " + shares[0].Sentence
	}
	parts := make([]string, 0, len(shares))
	for _, p := range shares {
		parts = append(parts, fmt.Sprintf("%s %s", words.Span(time.Duration(p.Seconds*float64(time.Second))), p.Sentence))
	}
	return fmt.Sprintf("%s = %s", words.Span(s.Total()), strings.Join(parts, " + "))
}

// elapse adds the time since the round before to the causes of the callers that were waiting then. The first callers were waiting for
// instances to boot, the others for what held back creates.
func (h *History) elapse() {
	d := h.now.Mono - h.last.Mono
	if d <= 0 {
		return
	}
	if n := h.sum.Waiters; n > 0 {
		booting := 0
		if h.sum.Started {
			booting = min(h.sum.Booting, n)
		}
		h.waits.add(record.CauseBoot, d*time.Duration(booting))
		h.waits.add(h.sum.WaitCause, d*time.Duration(n-booting))
	}
	if h.key != nil {
		h.key.elapse(d)
	}
}

// Waits returns the time that all callers together waited, by cause.
func (h *History) Waits() Split { return h.waits }
