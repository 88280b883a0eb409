package groupconfig

import (
	"reflect"
	"slices"
	"testing"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/config"
)

const full = `
[[runners]]
executor = "instance"
[runners.autoscaler]
plugin = "fake"
capacity_per_instance = 3
max_instances = 11
max_use_count = 7
failure_threshold = 5
deletion_retry_interval = "41s"
shutdown_deletion_interval = "42s"
shutdown_deletion_retries = 6
adopt_preexisting = "adopt"
reservation_deadline = "43s"
reattach_after_restart = "44s"
reattach_after_disconnect = "45s"
[runners.autoscaler.scale_throttle]
limit = 2
burst = 4
[runners.autoscaler.state_storage]
enabled = true
dir = "/var/lib/somewhere"
keep_instance_with_acquisitions = true
[runners.autoscaler.instance_deadlines]
requested = "51s"
creating = "52s"
preparing = "53s"
deleting_alarm = "54s"
[[runners.autoscaler.policy]]
idle_count = 1
idle_time = "10m"
`

func autoscaler(t *testing.T, text string) *config.Autoscaler {
	t.Helper()
	file, report := config.Parse("config.toml", []byte(text))
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	return file.Runners[0].Autoscaler
}

// A key that the file can set and that does not arrive would be ignored in silence, by the manager and by the simulation.
func TestCoreLeavesNothingOut(t *testing.T) {
	elsewhere := []string{"ProviderMax", "UpdateInterval", "Heartbeat", "ForgetAfter", "MissingLists"} // known to the provider, or set by who runs it
	v := reflect.ValueOf(Core(autoscaler(t, full)))
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if zero := v.Field(i).IsZero(); zero != slices.Contains(elsewhere, name) {
			t.Errorf("%s: set is %t", name, !zero)
		}
	}
}

func TestAdoption(t *testing.T) {
	head := "[[runners]]\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"fake\"\nmax_instances = 1\n"
	for _, c := range []struct {
		text string
		want scaler.AdoptMode
	}{
		{"", scaler.AdoptHold},
		{"adopt_preexisting = \"adopt\"\n", scaler.AdoptAll},
		{"adopt_preexisting = \"remove\"\n", scaler.AdoptRemove},
		{"[runners.autoscaler.state_storage]\nenabled = false\n", scaler.AdoptRemove},
	} {
		if got := Core(autoscaler(t, head+c.text)).Adopt; got != c.want {
			t.Errorf("%q: %v, want %v", c.text, got, c.want)
		}
	}
}
