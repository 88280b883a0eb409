package taskscaler

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestReleaseAfter: what one caller met counts against the instance, and against the other callers on it, only if a second contact fails too.
func TestReleaseAfter(t *testing.T) {
	broken := &connector.LostError{Sent: true, Started: true, Err: syscall.ECONNRESET}
	slow := &connector.ConnectError{Address: "a", Cause: context.DeadlineExceeded}
	refused := &connector.ConnectError{Address: "a", Last: syscall.ECONNREFUSED, Cause: context.DeadlineExceeded}
	for name, c := range map[string]struct {
		failed  error
		second  error        // of the second contact's connection
		command error        // of its command
		want    record.Cause // of the instance; none: it stays in service
		revokes bool
		dials   int
	}{
		"nothing failed":               {},
		"the command failed":           {failed: connector.NewExitError(3, "")},
		"the caller stopped it":        {failed: &connector.CancelError{Cause: context.Canceled, Ended: true, Sent: true}},
		"this host has no descriptors": {failed: &connector.ConnectError{Address: "a", Last: syscall.EMFILE}},
		"the connection broke once":    {failed: broken, dials: 1},
		"a session was refused once":   {failed: &connector.RefusedError{Address: "a"}, dials: 1},
		"it is dead":                   {failed: broken, second: refused, want: record.CauseUnhealthy, revokes: true, dials: 1},
		"it is too slow, or we are":    {failed: broken, second: slow, want: record.CauseDoubtful, dials: 1},
		"it lets in, and refuses each session": {failed: &connector.RefusedError{Address: "a"}, command: &connector.RefusedError{Address: "a"}, want: record.CauseUnhealthy,
			revokes: true, dials: 1},
		"it lets in, and fails each command": {failed: broken, command: connector.NewExitError(1, ""), want: record.CauseUnhealthy, revokes: true, dials: 1},
		"its host key changed":               {failed: broken, second: &connector.HostKeyError{Address: "a"}, want: record.CauseChangedHostKey, revokes: true, dials: 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := start(t, withConfig(func(c *Config) { c.CapacityPerInstance, c.MaxInstances = 2, 1 }))
				defer f.end()
				one, two := f.acquire("one"), f.acquire("two")
				f.net.mu.Lock()
				before := f.net.dials
				f.net.fail = func(string) error { return c.second }
				f.net.run = func(context.Context, string, connector.RunOptions) error { return c.command }
				f.net.mu.Unlock()
				if err := one.ReleaseAfter(t.Context(), c.failed); err != nil {
					t.Fatal(err)
				}
				f.net.mu.Lock()
				dials := f.net.dials - before
				f.net.mu.Unlock()
				if dials != c.dials {
					t.Errorf("%d connections, want %d", dials, c.dials)
				}
				synctest.Wait() // the other callers are told after this one
				var revoked *RevokedError
				if c.revokes != errors.As(two.Err(), &revoked) || c.revokes && revoked.Cause != c.want {
					t.Errorf("the other lease: %v", two.Err())
				}
				if c.revokes {
					return
				}
				in := f.status().Instances[0]
				if state := map[bool]string{true: "ready", false: "draining"}[c.want == record.CauseNone]; in.State != state || c.want != record.CauseNone && in.Cause != c.want.String() {
					t.Errorf("the instance: %+v", in)
				}
				if err := two.Release(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
