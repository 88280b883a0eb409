package config_test

import (
	"fmt"

	"github.com/taskscaler/taskscaler/pkg/config"
)

func ExampleParse() {
	file, report := config.Parse("config.toml", []byte(`
[[runners]]
  name = "linux"
  url = "https://gitlab.example.com"
  token = "glrt-secret"
  executor = "instance"
  [runners.autoscaler]
    plugin = "aws"
    capacity_per_instance = 4
    max_instances = 10
    [[runners.autoscaler.policy]]
      idle_count = 6
      idle_time = "20m"
`))
	if err := report.Err(); err != nil {
		fmt.Println(err)
		return
	}
	runners, err := file.Select("linux")
	if err != nil {
		fmt.Println(err)
		return
	}
	r := runners[0]
	fmt.Println(r.Label(), "uses", r.Autoscaler.Plugin, "with token", r.Token)
	for _, line := range r.Autoscaler.Describe() {
		fmt.Println(line)
	}
	// Output:
	// "linux" at gitlab.example.com uses aws with token [redacted]
	// policy 1: idle_count 6 = 6 jobs = 2 instances of capacity 4
}

// All faults of a file are reported at once.
func ExampleReport_Err() {
	_, report := config.Parse("config.toml", []byte(`
[[runners]]
  name = "linux"
  executor = "instance"
  [runners.autoscaler]
    plugin = "aws"
    max_instance = 10
    update_interval = "often"
`))
	fmt.Println(report.Err())
	// Output:
	// config.toml:7: runners.autoscaler.max_instance: unknown key "max_instance" (did you mean "max_instances"?)
	// config.toml:8: runners.autoscaler.update_interval: "often" is not a duration (write a duration such as "90s", "20m" or "1h30m")
}
