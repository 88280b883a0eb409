package jobexec

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/connector"
)

// verdict is what a job found wrong with its instance. The zero value: nothing.
type verdict struct {
	unhealthy control.Unhealthy
	reason    string
}

// blame returns the verdict for an instance to which nothing of the caller's was sent, and which cannot be reached.
func blame(err error) verdict {
	var changed *connector.HostKeyError
	if errors.As(err, &changed) {
		return verdict{control.UnhealthyChangedHostKey, err.Error()}
	}
	return verdict{control.UnhealthyUnreachable, err.Error()}
}

// probePatience is how long a doubted instance may take to answer on a new connection, and to end what is left of the command.
const probePatience = 15 * time.Second

// doubt judges an instance after a connection failed over which the caller had sent something. What a caller sends may break a connection,
// and must not count against the instance and the other jobs on it. So a second contact decides: a new connection that ends what is left of the
// command. failed is what happened to the first one.
func (r *run) doubt(ctx context.Context, lease control.Lease, failed error, end func(context.Context, connector.Client) error) verdict {
	var lost *LostLeaseError
	if errors.As(context.Cause(ctx), &lost) {
		return verdict{} // the manager knows more about the instance
	}
	probe, cancel := context.WithTimeout(context.WithoutCancel(ctx), probePatience)
	defer cancel()
	info := *lease.Connect
	info.Timeout = probePatience
	client, err := r.dial(probe, lease, info)
	if err != nil {
		found := blame(err)
		found.reason = fmt.Sprintf("%v; then a new connection failed: %v", failed, err)
		return found
	}
	defer func() { _ = client.Close() }()
	if err := end(probe, client); err != nil {
		r.note("the command may still be running on instance %s, so the instance gets no other job", lease.Instance)
		return verdict{control.UnhealthyUnreachable, fmt.Sprintf("%v; what is left of the command could not be ended over a new connection: %v", failed, err)}
	}
	return verdict{}
}
