package plugin

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/pkg/plugin/internal/pb"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Limits of one message of a list. The ids of a faulty group may be long.
const (
	updateBatch = 512     // instances
	updateBytes = 1 << 20 // bytes of ids and states, before the last instance
)

// server answers the calls of the host with an InstanceGroup.
type server struct {
	pb.UnimplementedInstanceGroupServer
	impl    provider.InstanceGroup
	version VersionInfo
	log     hclog.Logger
	begun   func()      // called once, before the first call of impl; may be nil
	started atomic.Bool // Init was called
	ready   atomic.Bool // Init has succeeded
	life    context.Context
	end     context.CancelCauseFunc
	running calls
}

var _ pb.InstanceGroupServer = (*server)(nil)

func newServer(impl provider.InstanceGroup, v VersionInfo, log hclog.Logger) *server {
	s := &server{impl: impl, version: v, log: log}
	s.life, s.end = context.WithCancelCause(context.Background())
	return s
}

// bound returns the context for a call. It ends when the host is gone, and a little before the host's deadline, so that a partial result
// still reaches the host.
func (s *server) bound(ctx context.Context) (context.Context, func()) {
	cancelDeadline := func() {}
	if deadline, ok := ctx.Deadline(); ok {
		margin := min(time.Until(deadline)/10, 500*time.Millisecond)
		ctx, cancelDeadline = context.WithDeadline(ctx, deadline.Add(-margin))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.life, func() { cancel(context.Cause(s.life)) })
	s.running.begin()
	return ctx, func() { stop(); cancel(nil); cancelDeadline(); s.running.done() }
}

// calls counts the calls that run.
type calls struct {
	mu   sync.Mutex
	n    int
	none chan struct{} // closed when n falls to 0; nil: idle was not called
}

func (c *calls) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

func (c *calls) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n--; c.n == 0 && c.none != nil {
		close(c.none)
		c.none = nil
	}
}

// idle returns a channel that is closed when no call runs.
func (c *calls) idle() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	none := make(chan struct{})
	if c.n == 0 {
		close(none)
		return none
	}
	if c.none == nil {
		c.none = none
	}
	return c.none
}

// begin is bound for all calls except Init. It returns a failure if Init has not succeeded.
func (s *server) begin(ctx context.Context) (context.Context, func(), *pb.Failure) {
	if !s.ready.Load() {
		return ctx, func() {}, failureToWire(errors.New("the plugin is not initialised"))
	}
	ctx, done := s.bound(ctx)
	return ctx, done, nil
}

// impossible is the error for a request that no correct host sends. The group does not see it.
func impossible(format string, args ...any) error {
	return provider.Errorf(provider.KindTransient, "the host %s, which is a fault of the host", fmt.Sprintf(format, args...))
}

// guard calls f, which calls the group. A panic of the group becomes the error of this one call: the plugin goes on with the others.
func (s *server) guard(method string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("a call panicked: this is a bug in the plugin", "method", method, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = provider.Errorf(provider.KindTransient, "the plugin panicked in %s: %v; its log has the stack", method, p)
		}
	}()
	return f()
}

func (s *server) Init(ctx context.Context, req *pb.InitRequest) (*pb.InitResponse, error) {
	if s.started.Swap(true) {
		return &pb.InitResponse{Failure: failureToWire(errors.New("the plugin is already initialised"))}, nil
	}
	if err := plausibleConnector(req.GetConnector()); err != nil {
		err = provider.Errorf(provider.KindConfig, "connector_config cannot be used: %w", err)
		return &pb.InitResponse{Failure: failureToWire(err)}, nil
	}
	if s.begun != nil {
		s.begun()
	}
	ctx, done := s.bound(ctx)
	defer done()
	if err := Configure(s.impl, req.GetPluginConfig()); err != nil {
		return &pb.InitResponse{Failure: failureToWire(err)}, nil
	}
	settings := provider.Settings{ConnectorConfig: connectorFromWire(req.GetConnector()), StateDir: req.GetStateDir()}
	var info provider.ProviderInfo
	err := s.guard("Init", func() (err error) {
		info, err = s.impl.Init(ctx, s.log, settings)
		return err
	})
	if err != nil {
		return &pb.InitResponse{Failure: failureToWire(err)}, nil
	}
	info.Version = orElse(info.Version, s.version.String())
	info.BuildInfo = orElse(info.BuildInfo, s.version.BuildInfo())
	s.ready.Store(true)
	return infoToWire(info, info.CapabilitiesOf(s.impl)), nil
}

func (s *server) Update(_ *pb.UpdateRequest, stream grpc.ServerStreamingServer[pb.UpdateResponse]) error {
	ctx, done, failure := s.begin(stream.Context())
	defer done()
	if failure != nil {
		return stream.Send(&pb.UpdateResponse{End: &pb.End{Failure: failure}})
	}
	out := lister{stream: stream}
	err := s.guard("Update", func() error { return s.impl.Update(ctx, out.add) })
	if err == nil {
		err = ctx.Err() // the list may be incomplete, even if the group returned nil
	}
	return out.finish(err)
}

// lister sends a list in batches. It accepts reports from several goroutines at once, and ignores those after Update has returned.
type lister struct {
	mu     sync.Mutex
	stream grpc.ServerStreamingServer[pb.UpdateResponse]
	batch  []*pb.Instance
	bytes  int // of the batch
	failed error
	closed bool
}

func (l *lister) add(id string, state provider.State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.failed != nil {
		return
	}
	in := &pb.Instance{Id: sentName(id), State: safetext.Line(string(state), maxSentState)}
	l.batch, l.bytes = append(l.batch, in), l.bytes+len(in.Id)+len(in.State)
	if len(l.batch) == updateBatch || l.bytes >= updateBytes {
		l.failed = l.stream.Send(&pb.UpdateResponse{Instances: l.batch})
		l.batch, l.bytes = nil, 0
	}
}

func (l *lister) finish(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.failed != nil {
		return l.failed
	}
	return l.stream.Send(&pb.UpdateResponse{Instances: l.batch, End: &pb.End{Failure: failureToWire(err)}})
}

func (s *server) Increase(ctx context.Context, req *pb.IncreaseRequest) (*pb.IncreaseResponse, error) {
	ctx, done, failure := s.begin(ctx)
	defer done()
	if failure != nil {
		return &pb.IncreaseResponse{Failure: failure}, nil
	}
	if n := req.GetDelta(); n < 1 || n > maxListed {
		return &pb.IncreaseResponse{Failure: failureToWire(impossible("asks for %d instances", n))}, nil
	}
	var n int
	err := s.guard("Increase", func() (err error) {
		n, err = s.impl.Increase(ctx, int(req.GetDelta()))
		return err
	})
	return &pb.IncreaseResponse{Succeeded: int64(n), Failure: failureToWire(err)}, nil
}

func (s *server) Decrease(ctx context.Context, req *pb.InstancesRequest) (*pb.InstancesResponse, error) {
	return s.forIDs(ctx, "Decrease", req, s.impl.Decrease)
}

func (s *server) Suspend(ctx context.Context, req *pb.InstancesRequest) (*pb.InstancesResponse, error) {
	if sus, ok := s.impl.(provider.Suspender); ok {
		return s.forIDs(ctx, "Suspend", req, sus.Suspend)
	}
	return s.forIDs(ctx, "Suspend", req, suspendNotSupported)
}

func (s *server) Resume(ctx context.Context, req *pb.InstancesRequest) (*pb.InstancesResponse, error) {
	if sus, ok := s.impl.(provider.Suspender); ok {
		return s.forIDs(ctx, "Resume", req, sus.Resume)
	}
	return s.forIDs(ctx, "Resume", req, suspendNotSupported)
}

func suspendNotSupported(context.Context, []string) ([]string, error) {
	return nil, &provider.Error{Kind: provider.KindConfig, Err: provider.ErrSuspendResumeNotSupported}
}

type idsFunc func(ctx context.Context, ids []string) ([]string, error)

func (s *server) forIDs(ctx context.Context, method string, req *pb.InstancesRequest, f idsFunc) (*pb.InstancesResponse, error) {
	ctx, done, failure := s.begin(ctx)
	defer done()
	if failure != nil {
		return &pb.InstancesResponse{Failure: failure}, nil
	}
	for _, id := range req.GetIds() {
		if err := provider.CheckID(id); err != nil {
			return &pb.InstancesResponse{Failure: failureToWire(impossible("calls %s for an id that %v", method, err))}, nil
		}
	}
	var ids []string
	err := s.guard(method, func() (err error) {
		ids, err = f(ctx, req.GetIds())
		return err
	})
	return &pb.InstancesResponse{Succeeded: sentNames(ids), Failure: failureToWire(err)}, nil
}

func (s *server) ConnectInfo(ctx context.Context, req *pb.InstanceRequest) (*pb.ConnectInfoResponse, error) {
	ctx, done, failure := s.begin(ctx)
	defer done()
	if failure != nil {
		return &pb.ConnectInfoResponse{Failure: failure}, nil
	}
	if err := provider.CheckID(req.GetId()); err != nil {
		return &pb.ConnectInfoResponse{Failure: failureToWire(impossible("calls ConnectInfo for an id that %v", err))}, nil
	}
	var info provider.ConnectInfo
	err := s.guard("ConnectInfo", func() (err error) {
		info, err = s.impl.ConnectInfo(ctx, req.GetId())
		return err
	})
	if err == nil {
		err = checkConnectInfo(info)
	}
	if err != nil {
		return &pb.ConnectInfoResponse{Failure: failureToWire(err)}, nil
	}
	return connectInfoToWire(info), nil
}

func (s *server) Heartbeat(ctx context.Context, req *pb.InstanceRequest) (*pb.HeartbeatResponse, error) {
	ctx, done, failure := s.begin(ctx)
	defer done()
	if failure != nil {
		return &pb.HeartbeatResponse{Failure: failure}, nil
	}
	if err := provider.CheckID(req.GetId()); err != nil {
		return &pb.HeartbeatResponse{Failure: failureToWire(impossible("calls Heartbeat for an id that %v", err))}, nil
	}
	h, ok := s.impl.(provider.Heartbeater)
	if !ok {
		return &pb.HeartbeatResponse{Failure: failureToWire(errNoHeartbeat())}, nil
	}
	return &pb.HeartbeatResponse{Failure: failureToWire(s.guard("Heartbeat", func() error { return h.Heartbeat(ctx, req.GetId()) }))}, nil
}

// errNoHeartbeat returns an error that says nothing about the instance: a plugin without heartbeats must not make it unhealthy.
func errNoHeartbeat() error {
	return provider.Errorf(provider.KindConfig, "this plugin has no heartbeat; ask provider.CapabilitiesOf first")
}

func (s *server) Shutdown(ctx context.Context, _ *pb.ShutdownRequest) (*pb.ShutdownResponse, error) {
	if !s.ready.Swap(false) {
		return &pb.ShutdownResponse{}, nil
	}
	ctx, done := s.bound(ctx)
	defer done()
	return &pb.ShutdownResponse{Failure: failureToWire(s.guard("Shutdown", func() error { return s.impl.Shutdown(ctx) }))}, nil
}
