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
)

const patience = time.Minute // for machines that stop; only a hang reaches it

func main() { burst.Main(cloud()) }

func cloud() burst.Cloud {
	return burst.Cloud{
		Title: "a stand-in for AWS", Plugin: "fleeting-plugin-aws (the first time, its SDK takes a minute)", Packages: []string{awsstage.Package}, Start: start,
	}
}

// start starts an account with one empty Auto Scaling group, whose instances boot as fast as those of the quickstart.
func start(_ context.Context, s *stage.Stage) (burst.Running, error) {
	c, err := awsstage.Start(s.Dir, ec2.Config{Groups: []ec2.GroupConfig{{
		Name: "ci-runners", Max: 5, ProtectNew: true, Seed: 1, Suspended: []string{"AZRebalance", "ReplaceUnhealthy"},
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
		Ended:   func() error { return ended(c) },
		Close:   c.Close,
	}, nil
}

// ended checks that the cloud has no instance any more. Then it waits until their machines have recorded their ends: a cloud calls an instance terminated
// before its machine has stopped.
func ended(c *awsstage.Cloud) error {
	var faults []error
	for _, i := range c.Server.Instances() {
		faults = append(faults, fmt.Errorf("instance %s is %s at the end", i.ID, i.State))
	}
	for deadline := time.Now().Add(patience); len(faults) == 0 && c.Park.Machines() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			faults = append(faults, fmt.Errorf("%d machines do not stop, although their instances are terminated", c.Park.Machines()))
		}
	}
	return errors.Join(faults...)
}
