package setup

import (
	"fmt"
	"slices"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/plugin"
)

// TestPluginEnv: plugin_env reaches the plugin, and the file's reader accepts exactly what a launch accepts.
func TestPluginEnv(t *testing.T) {
	for entry, good := range map[string]bool{
		"A": true, "_a1": true, "OS_*": true, "A=": true, "A=b=c*": true, "TASKSCALER_PLUGIN_PATH": true,
		"": false, "=x": false, "1A": false, "A B": false, "*": false, "A*=x": false, "A=x\x00": false, "TASKSCALER_PLUGIN_COOKIE": false,
		"TASKSCALER_PLUGIN_HOST_PID": false, "TASKSCALER_PLUGIN_LIFELINE_FD=3": false, "PLUGIN_UNIX_SOCKET_DIR=/": false, "PLUGIN_UNIX_SOCKET_GROUP": false,
		"PLUGIN_CLIENT_CERT": false, "PLUGIN_MAX_PORT": false, "PLUGIN_MIN_PORT": false, "PLUGIN_PROTOCOL_VERSIONS": false, "PLUGIN_MULTIPLEX_GRPC": false,
	} {
		text := fmt.Sprintf("[[runners]]\nname = \"r\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"%s\"\nplugin_env = [%q]\n", "/bin/true", entry)
		file, report := config.Parse("config.toml", []byte(text))
		if (report.Err() == nil) != good || (plugin.CheckEnv(entry) == nil) != good {
			t.Errorf("%q: the reader: %v; a launch: %v", entry, report.Err(), plugin.CheckEnv(entry))
		} else if good {
			launch, err := Plugin(file, file.Runners[0], plugin.FindOptions{})
			if err != nil || !slices.Equal(launch.Env, []string{entry}) {
				t.Errorf("%q, %v", launch.Env, err)
			}
		}
	}
}
