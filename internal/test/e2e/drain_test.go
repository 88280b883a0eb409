package e2e

import (
	"testing"

	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// TestDrainAndBack: a drain refuses new work and waits for running work. After --undo it fails, and a caller that waited when it began gets a slot.
func TestDrainAndBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{autoscaler: "max_instances = 1\ndelete_instances_on_shutdown = true"}.String())
	m := w.manager()
	_, letGo := heldJobs(w, 1)
	waiting := w.exec("waiting", "echo at last")
	waiting.says("max_instances")
	drain := w.start("drain")
	waiting.says("the manager is draining and takes no new work")
	w.fleet("it drains", func(f *taskscaler.Status) bool { return f.Draining })
	w.contains(w.prints("status"), "1 job: waiting for the end of the drain")
	w.exec("late", "true").refused(125, "draining")
	w.start("drain", "--undo", "--runner", "e2e").expect(0, "the drain is ended; new work is accepted again\n")
	drain.refused(1, "undone")
	letGo()
	waiting.expect(0, "at last\n")
	w.start("drain").expect(0, "drained\n")
	w.start("drain", "--undo").expect(0, "the drain is ended; new work is accepted again\n")
	w.exec("after", "echo works").expect(0, "works\n")
	m.drained()
	w.empty()
}
