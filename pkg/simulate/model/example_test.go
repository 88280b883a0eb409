package model_test

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/simulate"
	"github.com/taskscaler/taskscaler/pkg/simulate/model"
)

func ExampleParse() {
	m, err := model.Parse("model.toml", []byte(`
preset = "windows-vm"
[ready]
distribution = "constant"
value = "15s"
[price]
per_hour = 0.4
[boot_failure]
probability = 0.02
`), "")
	if err != nil {
		fmt.Println(err)
		return
	}
	var o simulate.Options
	m.Apply(&o)
	fmt.Println("half of all boots take at most", o.Cloud.Boot.P50, "and an hour costs", o.Cloud.Price.Cost(time.Hour))

	_, err = model.Parse("model.toml", []byte("preset = \"windows\"\n"), "")
	fmt.Println(err)
	// Output:
	// half of all boots take at most 5m0s and an hour costs 0.4
	// model.toml:1: preset: unknown preset "windows" (did you mean "windows-vm"?)
}
