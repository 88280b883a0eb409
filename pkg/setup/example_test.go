package setup_test

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/setup"
)

func ExampleConfig() {
	file, report := config.Parse("config.toml", []byte(`
[[runners]]
  name = "linux"
  id = 42
  url = "https://gitlab.example.com"
  executor = "instance"
  [runners.autoscaler]
    plugin = "aws"
    capacity_per_instance = 4
    max_instances = 10
    [[runners.autoscaler.policy]]
      idle_count = 6
[[runners]]
  name = "by hand"
  executor = "shell"
`))
	if err := report.Err(); err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range file.Runners {
		cfg, err := setup.Config(r)
		if errors.Is(err, setup.ErrNoAutoscaler) {
			fmt.Println(err)
			continue
		}
		fmt.Println(cfg.Name, "has at most", cfg.MaxInstances, "instances for", cfg.CapacityPerInstance, "jobs each")
		fmt.Println("its state has the folder", filepath.Base(setup.StateDir(r, "")))
	}
	// Output:
	// linux has at most 10 instances for 4 jobs each
	// its state has the folder gitlab.example.com-42-e9538bc21490
	// runner "by hand": the runner has no [runners.autoscaler] section: add one, or select another runner
}
