// Package awsstage is a stand-in for AWS on this machine (internal/cloudtest/ec2) whose instances are real SSH servers (internal/cloudtest/machine), and the
// configuration of a manager that uses it through the binary fleeting-plugin-aws.
package awsstage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/taskscaler/taskscaler/internal/cloudtest/ec2"
	"github.com/taskscaler/taskscaler/internal/cloudtest/machine"
)

// Package is the plugin's package, for package stage.
const Package = "./plugins/aws/cmd/fleeting-plugin-aws"

// Cloud is a running stand-in.
type Cloud struct {
	Server  *ec2.Server
	Park    *machine.Park
	Records string // the folder with the records of the machines

	config ec2.Config
}

// Start starts a cloud with these groups. The records go to a folder in dir. The caller closes the cloud.
func Start(dir string, config ec2.Config) (*Cloud, error) {
	c := &Cloud{Records: filepath.Join(dir, "records"), config: config}
	if err := os.Mkdir(c.Records, 0o700); err != nil {
		return nil, err
	}
	var err error
	if c.Park, err = machine.Open(machine.Config{Records: c.Records, Now: config.Now}); err != nil {
		return nil, err
	}
	config.Machines = ec2.OnPark(c.Park)
	if c.Server, err = ec2.Start(config); err != nil {
		return nil, errors.Join(err, c.Park.Close())
	}
	return c, nil
}

// Close ends the cloud and its machines.
func (c *Cloud) Close() error {
	c.Server.Close()
	return c.Park.Close()
}

// Environment returns the environment of this process without what is for the real AWS.
func Environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
}

// Keys are what a configuration adds to that of every manager on this cloud.
type Keys struct {
	Head       string // before [[runners]]
	Autoscaler string // of [runners.autoscaler]; tables may follow
	Plugin     string // of plugin_config
	Policy     string // of the only policy
}

// Config returns a config.toml for the first group.
func (c *Cloud) Config(keys Keys) string {
	env := slices.DeleteFunc(c.Server.Env(), func(v string) bool { return strings.HasPrefix(v, "AWS_ENDPOINT_URL=") }) // plugin_config has it
	env = append(env, "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
	var list []string
	for _, v := range env {
		list = append(list, fmt.Sprintf("%q", v))
	}
	return fmt.Sprintf(`%s
[[runners]]
  name = "aws"
  executor = "instance"

  [runners.autoscaler]
    plugin = "fleeting-plugin-aws"
    plugin_env = [%s]
    %s

    [runners.autoscaler.connector_config]
      protocol_port = %d # of the machines of this stand-in; of a real one it is 22

    [runners.autoscaler.plugin_config]
      name = %q
      endpoint = %q
      %s

    [[runners.autoscaler.policy]]
      %s
`, keys.Head, strings.Join(list, ", "), keys.Autoscaler, c.Park.Port(), c.config.Groups[0].Name, c.Server.URL(), keys.Plugin, keys.Policy)
}
