// Command demo runs taskscaler on this machine. It starts a manager with the quickstart configuration and starts a burst of jobs with
// `taskscaler exec`. It shows how the fleet grows, where the jobs run, and how the fleet shrinks, in the end to nothing. The last line is
// computed from the records of the instances.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/taskscaler/taskscaler/internal/test/burst"
	"github.com/taskscaler/taskscaler/internal/test/stage"
)

func main() { burst.Main(cloud()) }

// cloud is this machine: the fake plugin needs nothing beside it.
func cloud() burst.Cloud {
	return burst.Cloud{Title: "the quickstart configuration", Plugin: "fleeting-plugin-fake", Start: start}
}

// start makes the configuration from the quickstart's.
func start(_ context.Context, s *stage.Stage) (burst.Running, error) {
	quickstart, err := os.ReadFile(filepath.Join(s.Root, "examples", "quickstart", "config.toml"))
	if err != nil {
		return burst.Running{}, err
	}
	records := filepath.Join(s.Dir, "records")
	config, err := withRecords(string(quickstart), records)
	return burst.Running{Config: config, Records: records}, err
}

// withRecords adds a record_dir to the plugin_config of a configuration.
func withRecords(config, dir string) (string, error) {
	const header = "[runners.autoscaler.plugin_config]\n"
	before, after, found := strings.Cut(config, header)
	if !found {
		return "", fmt.Errorf("the quickstart configuration has no %s", strings.TrimSpace(header))
	}
	return before + header + fmt.Sprintf("record_dir = %q\n", dir) + after, nil
}
