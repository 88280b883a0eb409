package pluginkit

import (
	"strings"
	"sync"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// maxUnknown is how many unknown words a table remembers. A provider with more of them is not understood anyway.
const maxUnknown = 64

// States turns a provider's words for the state of a machine into ours. Upper and lower case are the same. It may be used by several goroutines at once.
type States struct {
	table   map[string]provider.State
	other   provider.State
	unknown func(word string)

	mu   sync.Mutex
	told map[string]bool
}

// NewStates returns a table. A word that it does not have becomes other, and is reported once by unknown, which may be nil. A good choice for other is
// provider.StateCreating: the machine exists and cannot be used. Never provider.StateDeleted, which says that it is gone.
func NewStates(table map[string]provider.State, other provider.State, unknown func(word string)) *States {
	s := &States{table: make(map[string]provider.State, len(table)), other: other, unknown: unknown, told: map[string]bool{}}
	for word, state := range table {
		s.table[strings.ToLower(word)] = state
	}
	return s
}

// Of returns the state for a word.
func (s *States) Of(word string) provider.State {
	key := strings.ToLower(word)
	if state, ok := s.table[key]; ok {
		return state
	}
	if s.unknown != nil && s.first(key) {
		s.unknown(word)
	}
	return s.other
}

// first reports whether an unknown word is seen for the first time.
func (s *States) first(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told[key] || len(s.told) == maxUnknown {
		return false
	}
	s.told[key] = true
	return true
}
