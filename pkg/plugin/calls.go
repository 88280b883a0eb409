package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/plugin/internal/pb"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// current returns the process for one call, or the reason why there is none.
func (p *Process) current() (*child, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cur == nil {
		return nil, p.away
	}
	if p.state == nil {
		return nil, awayf("plugin %s is not initialised", p.name)
	}
	return p.cur, nil
}

// call makes one call to the process, and returns the error for a transport error. Errors of the group are in the answer.
func call[R any](ctx context.Context, p *Process, name string, f func(*child) (R, error)) (R, error) {
	var none R
	c, err := p.current()
	if err != nil {
		return none, err
	}
	began := time.Now()
	answer, err := f(c)
	if err != nil {
		return none, p.transportError(ctx, c, name, began, err)
	}
	c.answers.answered(name)
	return answer, nil
}

func (p *Process) transportError(ctx context.Context, c *child, name string, began time.Time, err error) error {
	if cause := gaveUp(ctx, err); cause != nil {
		if !errors.Is(cause, context.DeadlineExceeded) {
			p.suspect(c) // the caller has left; perhaps because the plugin hangs
			return provider.Errorf(provider.KindTransient, "plugin %s: %s did not return in time: %w", p.name, name, cause)
		}
		p.unanswered(c, name, began)
		return awayf("%w", &lateError{fmt.Sprintf("plugin %s did not answer %s in time", p.name, name)})
	}
	if c.exitsSoon(ctx, p.opts.exitGrace) {
		return awayf("plugin %s went away during %s: %s", p.name, name, c.obituary())
	}
	p.suspect(c)
	return awayf("plugin %s: %s: %w", p.name, name, p.wireError(err))
}

// wireError returns err with its text as one bounded line without secrets: a plugin can choose the text of an error of gRPC.
func (p *Process) wireError(err error) error {
	return &remoteError{text: heard(err.Error(), p.redact.text), is: err}
}

// lateError says what did not answer in time. For errors.Is it is a context.DeadlineExceeded.
type lateError struct{ text string }

func (e *lateError) Error() string        { return e.text }
func (e *lateError) Timeout() bool        { return true }
func (e *lateError) Is(target error) bool { return target == context.DeadlineExceeded }

// gaveUp returns the cause if err is a consequence of the end of ctx, else nil. gRPC's timer may fire a little earlier than that of ctx.
func gaveUp(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if status.Code(err) == codes.DeadlineExceeded {
		return context.DeadlineExceeded
	}
	return nil
}

// exitsSoon reports whether the process has ended, or ends within grace.
func (c *child) exitsSoon(ctx context.Context, grace time.Duration) bool {
	select {
	case <-c.run.exited:
		return true
	case <-ctx.Done():
		return c.run.hasExited()
	case <-time.After(grace):
		return false
	}
}

// Update implements provider.InstanceGroup.
func (p *Process) Update(ctx context.Context, update func(id string, state provider.State)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // releases the stream
	end, err := call(ctx, p, "Update", func(c *child) (*pb.End, error) {
		stream, err := c.rpc.Update(ctx, &pb.UpdateRequest{})
		if err != nil {
			return nil, err
		}
		for listed := 0; ; {
			msg, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil, errors.New("the list ended without its end mark")
			}
			if err != nil {
				return nil, err
			}
			if listed += len(msg.GetInstances()); listed > maxListed {
				return &pb.End{Failure: failureToWire(fmt.Errorf("the list has more than %d instances", maxListed))}, nil
			}
			for _, in := range msg.GetInstances() {
				update(in.GetId(), provider.State(in.GetState()))
			}
			if msg.GetEnd() != nil {
				return msg.GetEnd(), nil
			}
		}
	})
	if err != nil {
		return err
	}
	return failureFromWire(end.GetFailure(), p.redact.text)
}

// Increase implements provider.InstanceGroup.
func (p *Process) Increase(ctx context.Context, delta int) (int, error) {
	r, err := call(ctx, p, "Increase", func(c *child) (*pb.IncreaseResponse, error) {
		return c.rpc.Increase(ctx, &pb.IncreaseRequest{Delta: int64(delta)})
	})
	if err != nil {
		return 0, err
	}
	n := r.GetSucceeded()
	if n < 0 || n > int64(delta) {
		return int(max(0, min(n, int64(delta)))), p.impossible("says that it accepted %d of %d instances", n, delta)
	}
	return int(n), failureFromWire(r.GetFailure(), p.redact.text)
}

// Decrease implements provider.InstanceGroup.
func (p *Process) Decrease(ctx context.Context, ids []string) ([]string, error) {
	return p.forIDs(ctx, "Decrease", ids, func(c *child, r *pb.InstancesRequest) (*pb.InstancesResponse, error) { return c.rpc.Decrease(ctx, r) })
}

// Suspend implements provider.Suspender. If the plugin cannot suspend, it returns provider.ErrSuspendResumeNotSupported.
func (p *Process) Suspend(ctx context.Context, ids []string) ([]string, error) {
	return p.forIDs(ctx, "Suspend", ids, func(c *child, r *pb.InstancesRequest) (*pb.InstancesResponse, error) { return c.rpc.Suspend(ctx, r) })
}

// Resume implements provider.Suspender. If the plugin cannot resume, it returns provider.ErrSuspendResumeNotSupported.
func (p *Process) Resume(ctx context.Context, ids []string) ([]string, error) {
	return p.forIDs(ctx, "Resume", ids, func(c *child, r *pb.InstancesRequest) (*pb.InstancesResponse, error) { return c.rpc.Resume(ctx, r) })
}

func (p *Process) forIDs(ctx context.Context, name string, ids []string,
	f func(*child, *pb.InstancesRequest) (*pb.InstancesResponse, error),
) ([]string, error) {
	r, err := call(ctx, p, name, func(c *child) (*pb.InstancesResponse, error) { return f(c, &pb.InstancesRequest{Ids: ids}) })
	if err != nil {
		return nil, err
	}
	done, others := accepted(ids, r.GetSucceeded())
	err = failureFromWire(r.GetFailure(), p.redact.text)
	if err == nil && others > 0 {
		err = p.impossible("answers %s for %s that nobody asked for", name, words.Count(others, "id"))
	}
	return done, err
}

// ConnectInfo implements provider.InstanceGroup.
func (p *Process) ConnectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	r, err := call(ctx, p, "ConnectInfo", func(c *child) (*pb.ConnectInfoResponse, error) {
		return c.rpc.ConnectInfo(ctx, &pb.InstanceRequest{Id: id})
	})
	if err != nil {
		return provider.ConnectInfo{}, err
	}
	if err := failureFromWire(r.GetFailure(), p.redact.text); err != nil {
		return provider.ConnectInfo{}, err
	}
	if err := plausibleConnectInfo(id, r); err != nil {
		return provider.ConnectInfo{}, p.impossible("answers ConnectInfo of %s with an impossible value: %v", safetext.Quote(id), err)
	}
	info := connectInfoFromWire(r)
	p.redact.addMade(info.ConnectorConfig)
	return info, nil
}

// Heartbeat implements provider.Heartbeater. A plugin without heartbeats answers an error that is not KindUnhealthy.
func (p *Process) Heartbeat(ctx context.Context, id string) error {
	r, err := call(ctx, p, "Heartbeat", func(c *child) (*pb.HeartbeatResponse, error) {
		return c.rpc.Heartbeat(ctx, &pb.InstanceRequest{Id: id})
	})
	if err != nil {
		return err
	}
	return failureFromWire(r.GetFailure(), p.redact.text)
}

// String names the process for logs.
func (p *Process) String() string { return fmt.Sprintf("plugin %s", p.name) }
