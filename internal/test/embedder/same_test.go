package embedder

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/setup"
	"github.com/taskscaler/taskscaler/pkg/simulate"
	"github.com/taskscaler/taskscaler/pkg/simulate/model"
)

const everyLimit = `
[[runners]]
name = "same"
executor = "instance"
[runners.autoscaler]
plugin = "fake"
capacity_per_instance = 3
max_use_count = 4
max_instances = 5
deletion_retry_interval = "14s"
reservation_deadline = "18s"
[runners.autoscaler.scale_throttle]
limit = 2.5
burst = 21
[runners.autoscaler.instance_deadlines]
requested = "22s"
creating = "23s"
preparing = "24s"
deleting_alarm = "25s"
[[runners.autoscaler.policy]]
idle_count = 6
`

// TestSimulationAndManagerGetTheSame: what is simulated is what will run. Every field of simulate.Group that a file can set has the same
// name, type and value in the manager's configuration.
func TestSimulationAndManagerGetTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(everyLimit), 0o600); err != nil {
		t.Fatal(err)
	}
	file, report, err := config.Load(path)
	if err != nil || report.Err() != nil {
		t.Fatal(err, report.Err())
	}
	runner := file.Runners[0]
	manager, err := setup.Config(runner)
	if err != nil {
		t.Fatal(err)
	}
	noKey := map[string]bool{"ProviderMax": true, "RememberFor": true, "MissingLists": true}
	group, conf := reflect.ValueOf(model.Group(runner.Autoscaler)), reflect.ValueOf(manager)
	for i := range group.NumField() {
		name := group.Type().Field(i).Name
		if zero := group.Field(i).IsZero(); zero != noKey[name] {
			t.Errorf("%s: zero is %t", name, zero)
		}
		other := conf.FieldByName(name)
		if name == "ProviderMax" { // only the provider knows it
			continue
		}
		if !other.IsValid() || other.Type() != group.Field(i).Type() || !reflect.DeepEqual(other.Interface(), group.Field(i).Interface()) {
			t.Errorf("taskscaler.Config has another %s", name)
		}
	}
	if reflect.TypeFor[simulate.Group]().NumField() < 10 {
		t.Error("simulate.Group has lost its fields")
	}
}
