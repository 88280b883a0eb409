package jobexec

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// TestJumpHostFails: a job whose jump host fails does not ask for another instance, which it would not reach either, and condemns none. It says what it waits for.
func TestJumpHostFails(t *testing.T) {
	r := newRig(t, 3)
	away := &connector.JumpError{Address: "bastion:22", Err: errors.New("it is away")}
	job := r.job("true")
	dials := 0
	job.Dial = func(_ context.Context, _ provider.ConnectInfo, opts connector.DialOptions) (connector.Client, error) {
		dials++
		for range 3 {
			if opts.OnRetry != nil {
				opts.OnRetry(away)
			}
		}
		return nil, &connector.ConnectError{Address: "10.0.0.1:22", Last: away, Cause: context.DeadlineExceeded}
	}
	code, err := Run(t.Context(), control.NewClient(r.path), job)
	if code != ExitFailed || err == nil || !strings.Contains(err.Error(), "the jump host bastion:22 failed: it is away") || dials != 1 {
		t.Errorf("%d after %d dials: %v", code, dials, err)
	}
	if n := strings.Count(r.stderr.String(), "it is away; trying again"); n != 1 {
		t.Errorf("it said so %d times: %s", n, r.stderr.String())
	}
	r.await("release k")
}
