package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// busyLimit is the number of connections in the message for those above it.
var busyLimit = regexp.MustCompile(`its limit of open files allows \((\d+)\)`)

// TestMoreClientsThanDescriptors: the limit of open files is low, and more clients ask for leases than it allows. Each gets a lease, waits, or is told
// why it is turned away; the status is answered meanwhile; jobs that were turned away are served later; and nothing is left of all of them.
func TestMoreClientsThanDescriptors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{autoscaler: "max_instances = 2\ncapacity_per_instance = 17\ndelete_instances_on_shutdown = true"}.String())
	m := w.startWith(func(c *exec.Cmd) {
		c.Args = append([]string{"sh", "-c", `ulimit -n 256 && exec "$@"`, "sh"}, c.Args...)
		sh, err := exec.LookPath("sh")
		if err != nil {
			t.Fatal(err)
		}
		c.Args[4], c.Path = c.Path, sh
	}, "run", "--config", w.config)
	w.serving(m)

	const clients, slots = 400, 34
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	var all sync.WaitGroup
	answers := make(chan string, clients)
	for i := range clients {
		all.Go(func() { ask(ctx, w.client(), fmt.Sprintf("job-%d", i), answers) })
	}
	got := map[string]int{}
	allowed := 0
	for range clients {
		answer := <-answers
		if m := busyLimit.FindStringSubmatch(answer); m != nil {
			answer = "busy"
			allowed, _ = strconv.Atoi(m[1])
		}
		got[answer]++
	}
	// On a busy machine a client may take so long for its request that it is cut off. It may try again.
	if got["busy"] < 9*got["cut"] || got["accepted"] < slots || got["busy"]+got["accepted"]+got["cut"] != clients || got["accepted"] > allowed {
		t.Errorf("answers, with a limit of %d: %v", allowed, got)
	}
	w.fleet("34 have a lease, and the others wait", func(f *taskscaler.Status) bool {
		return f.Counts.Leases == slots && f.Counts.Waiters == got["accepted"]-slots
	})
	turned := w.exec("late", "echo served")
	turned.says("as many clients as its limit of open files allows")
	leave()
	all.Wait()
	turned.expect(0, "served\n")
	w.fleet("no lease is left", func(f *taskscaler.Status) bool { return f.Counts.Leases+f.Counts.Waiters == 0 })
	w.exec("after", "echo works").expect(0, "works\n")
	if n := strings.Count(m.stderr.String(), "refused connections to the control socket"); n == 0 || n > 5 {
		t.Errorf("%d records say that connections were refused", n)
	}
	m.drained()
	w.sound()
	w.empty()
}

// ask opens a lease stream, and says how it was answered. It keeps the stream until ctx ends, and then gives the lease back.
func ask(ctx context.Context, c *control.Client, key string, answers chan<- string) {
	s, err := c.Lease(ctx, control.LeaseRequest{Key: key, Mode: control.ModeAcquire, Holder: key})
	if away := new(control.AwayError); errors.As(err, &away) && away.Gone() {
		answers <- "cut"
		return
	}
	if err != nil {
		answers <- err.Error()
		return
	}
	defer s.Close()
	ev, err := s.Next()
	switch {
	case err != nil:
		answers <- err.Error()
	case ev.Error != nil:
		answers <- ev.Error.Error()
	default:
		answers <- "accepted"
		<-ctx.Done()
		release := func(err error) bool {
			return err != nil && (errors.Is(err, &control.APIError{Code: control.CodeBusy}) || errors.As(err, new(*control.AwayError)))
		}
		req := control.ReleaseRequest{Key: key}
		for release(c.Release(context.WithoutCancel(ctx), req)) {
		}
	}
}
