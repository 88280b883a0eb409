package daemon

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// private changes cfg to that of a manager for one command. It creates what the command needs and no more, does not touch instances that it
// did not create, and deletes its own at the end.
func private(cfg taskscaler.Config) taskscaler.Config {
	cfg.Policies = nil
	cfg.AdoptPreexisting = taskscaler.AdoptHold
	cfg.DeleteOnShutdown = true
	cfg.ReattachAfterRestart = time.Millisecond // the callers of an earlier private manager ended with it
	return cfg
}
