package ec2

import (
	"testing"
	"time"
)

// TestAtRest: a server without anything to do does nothing. It must not wake itself.
func TestAtRest(t *testing.T) {
	s, err := Start(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	time.Sleep(300 * time.Millisecond) // time to do too much
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rounds > 20 {
		t.Errorf("%d rounds", s.rounds)
	}
}
