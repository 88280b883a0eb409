package ec2

import (
	"sync"
	"testing"
)

// TestEnvWhileKeysAreMade reads the credentials while a client makes new ones: the race detector must have nothing to say.
func TestEnvWhileKeysAreMade(t *testing.T) {
	s, c := started(t, Config{})
	c.must(nil, serviceIAM, "CreateUser", "UserName", "reader")
	var busy sync.WaitGroup
	busy.Go(func() {
		for range 200 {
			_ = s.Env()
		}
	})
	for range 20 {
		c.must(nil, serviceIAM, "CreateAccessKey", "UserName", "reader")
	}
	busy.Wait()
}
