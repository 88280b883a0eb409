// Command demoaws is the demonstration of `make demo` on AWS: the plugin fleeting-plugin-aws speaks the protocols of AWS to a stand-in on this machine, whose
// instances are real SSH servers. Nothing is bought, and no account is needed.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/cloudtest/ec2"
	"github.com/taskscaler/taskscaler/internal/test/awsstage"
	"github.com/taskscaler/taskscaler/internal/test/burst"
	"github.com/taskscaler/taskscaler/internal/test/stage"
	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

func main() { burst.Main(cloud()) }

func cloud() burst.Cloud {
	return burst.Cloud{
		Title: "a stand-in for AWS", Plugin: "fleeting-plugin-aws (the first time, its SDK takes a minute)", Packages: []string{awsstage.Package}, Start: start,
	}
}

// start starts an account with one empty Auto Scaling group, whose instances boot as fast as those of the quickstart.
func start(_ context.Context, s *stage.Stage) (burst.Running, error) {
	c, err := awsstage.Start(s.Dir, ec2.Config{Groups: []ec2.GroupConfig{{
		Name: "ci-runners", Max: 5, ProtectNew: true, Seed: 1, Suspended: []string{"AZRebalance"},
		Model: cloudmodel.Config{
			Boot:   cloudmodel.Empirical(600*time.Millisecond, 900*time.Millisecond, 1200*time.Millisecond, 1500*time.Millisecond),
			Delete: cloudmodel.Constant(200 * time.Millisecond),
		},
	}}})
	if err != nil {
		return burst.Running{}, err
	}
	s.Env = awsstage.Environment()
	return burst.Running{
		Config: c.Config(awsstage.Keys{
			Head: "concurrent = 20\nshutdown_timeout = 30",
			Autoscaler: `capacity_per_instance = 4
    max_instances = 5
    update_interval = "2s"
    update_interval_when_expecting = "200ms"
    instance_acquire_timeout = "5m"
    delete_instances_on_shutdown = true
    shutdown_deletion_interval = "1s"`,
			Policy: "idle_count = 2\n      idle_time = \"3s\"\n      preemptive_mode = false",
		}),
		Records: c.Records,
		Check:   func(entries []record.Entry) error { return check(c, entries) },
		Close:   c.Close,
	}, nil
}

// check compares what the cloud says with what the machines recorded.
func check(c *awsstage.Cloud, entries []record.Entry) error {
	created := 0
	for _, e := range entries {
		if e.Event == record.Created {
			created++
		}
	}
	var faults []error
	if launched := c.Server.Launched(); launched < created { // one that was terminated before it ran has no record
		faults = append(faults, fmt.Errorf("the cloud launched %d instances, and %d machines recorded something", launched, created))
	}
	for _, i := range c.Server.Instances() {
		faults = append(faults, fmt.Errorf("instance %s is %s at the end", i.ID, i.State))
	}
	return errors.Join(faults...)
}
