package e2e

import (
	"strings"
	"syscall"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// TestTokenIsRenewed: the identity of a runner is its url and id, and never its token. After the token was renewed, the next manager takes
// over the fleet and its running job. Other fleet managers identify the state by the token, and remove busy instances then.
func TestTokenIsRenewed(t *testing.T) {
	t.Parallel()
	config := settings{
		autoscaler: "max_instances = 3\n" + deleting, policy: "idle_count = 1\nidle_time = \"1h\"\npreemptive_mode = false",
	}.String()
	with := func(token string) string {
		return strings.Replace(config, "name = \"e2e\"\n", "name = \"e2e\"\nurl = \"https://gitlab.example.com\"\nid = 42\ntoken = \""+token+"\"\n", 1)
	}
	w := newWorld(t, with("glrt-old"))
	m := w.manager()
	jobs, letGo := heldJobs(w, 1)
	before := places(w.mustAsk())
	m.signal(syscall.SIGKILL)
	m.wait()
	w.write("config.toml", with("glrt-new"))
	m = w.manager()
	w.fleet("the job's lease is where it was", func(f *taskscaler.Status) bool {
		now := places(f)
		return len(now) == 1 && now["job-00"] == before["job-00"] && detached(f) == 0
	})
	letGo()
	jobs[0].expect(0, "on\noff\n")
	m.drained()
	w.sound()
	w.empty()
}
