package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/cloudtest/ec2"
	"github.com/taskscaler/taskscaler/internal/cloudtest/machine"
	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// startAWS starts a stand-in for AWS with a group of at most three instances, which are SSH servers, and returns the plugin that uses it.
func startAWS() (s site, end func() error, err error) {
	park, err := machine.Open(machine.Config{})
	if err != nil {
		return site{}, nil, err
	}
	cloud, err := ec2.Start(ec2.Config{
		Machines: ec2.OnPark(park),
		Groups: []ec2.GroupConfig{{
			Name: "conformance", Max: 3, ProtectNew: true, Suspended: []string{"AZRebalance", "ReplaceUnhealthy"}, Reaction: 5 * time.Millisecond,
			Model: cloudmodel.Config{Boot: cloudmodel.Constant(100 * time.Millisecond), Delete: cloudmodel.Constant(200 * time.Millisecond)},
		}},
	})
	if err != nil {
		return site{}, nil, errors.Join(err, park.Close())
	}
	var env []string
	for _, v := range append(cloud.Env(), "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull) {
		env = append(env, fmt.Sprintf("%q", v))
	}
	return site{
		plugin: "aws", config: `name = "conformance"`,
		autoscaler: fmt.Sprintf("plugin_env = [%s]\n[runners.autoscaler.connector_config]\nprotocol_port = %d\n", strings.Join(env, ", "), park.Port()),
	}, func() error { cloud.Close(); return park.Close() }, nil
}
