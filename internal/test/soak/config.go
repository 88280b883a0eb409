package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/taskscaler/taskscaler/internal/test/soak/check"
)

// template is the configuration of a soak: short boots, many failures, and short times to reattach. Its two policies alternate every minute.
// The seed decides the values of its format verbs.
const template = `concurrent = 100
log_level = "debug"
shutdown_timeout = 60
[[runners]]
name = "soak"
executor = "instance"
[runners.autoscaler]
plugin = "fake"
capacity_per_instance = %[1]d
max_use_count = %[2]d
max_instances = %[3]d
update_interval = "700ms"
update_interval_when_expecting = "150ms"
deletion_retry_interval = "1s"
shutdown_deletion_interval = "1s"
shutdown_deletion_retries = 60
delete_instances_on_shutdown = true
instance_acquire_timeout = "10m"
# The instances whose number ends in a 7 are broken.
instance_ready_command = 'case "$HOME" in *7/work) exit 1;; esac'
reattach_after_restart = "20s"
reattach_after_disconnect = "2s"
[runners.autoscaler.instance_deadlines]
requested = "10s"
creating = "8s"
[runners.autoscaler.state_storage]
keep_instance_with_acquisitions = %[4]t
[[runners.autoscaler.policy]]
idle_count = 0
idle_time = "1s"
preemptive_mode = false
[[runners.autoscaler.policy]]
periods = ["*/2 * * * *"]
idle_count = 2
idle_time = "2s"
preemptive_mode = false
[runners.autoscaler.plugin_config]
record_dir = "records"
life_limit = "2h"
seed = %[5]d
boot = { distribution = "lognormal", p50 = "300ms", p95 = "900ms" }
boot_failure = { probability = 0.05, mode = "%[6]s", after = { distribution = "constant", value = "700ms" } }
delete = { distribution = "exponential", mean = "200ms" }
delete_failure = { probability = 0.1 }
partial = { probability = 0.1 }
slow_call = { probability = 0.05, delay = { distribution = "exponential", mean = "400ms" } }
list = { lag = "100ms", failure = { probability = 0.05 }, keep = 0.5 }
spot = { reclaim_per_hour = 40, notice = "%[7]s" }
create_errors = [
  { probability = 0.04, kind = "transient", created = true },
  { probability = 0.04, kind = "transient" },
  { probability = 0.02, kind = "capacity" },
]
stockout = { windows = [{ from = "50s", until = "53s", every = "1m" }] }
`

// newConfig makes a random configuration and returns its limits.
func newConfig(seed uint64) (text string, limits check.Limits) {
	r := rand.New(rand.NewPCG(seed, 1))
	limits = check.Limits{Capacity: 2 + r.IntN(2), MaxUses: 4 + r.IntN(3), MaxInstances: 4 + r.IntN(2), Keep: r.IntN(4) == 0, Seed: seed}
	mode := []string{"hang", "timeout", "vanish", "die"}[r.IntN(4)]
	notice := []string{"0s", "400ms", "1500ms"}[r.IntN(3)]
	return fmt.Sprintf(template, limits.Capacity, limits.MaxUses, limits.MaxInstances, limits.Keep, seed, mode, notice), limits
}
