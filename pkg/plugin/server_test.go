package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/taskscaler/taskscaler/pkg/plugin/internal/pb"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// plain has only the six required methods.
type plain struct {
	Name   string                                `json:"name"`
	report func(id string, state provider.State) // the callback of Update
	left   time.Duration                         // how much time the context of ConnectInfo had
	ended  chan struct{}                         // closed when Increase's context has ended
	shut   atomic.Bool                           // Shutdown was called
}

func (p *plain) Init(context.Context, hclog.Logger, provider.Settings) (provider.ProviderInfo, error) {
	return provider.ProviderInfo{ID: "plain/" + p.Name}, nil
}

func (p *plain) Update(_ context.Context, update func(id string, state provider.State)) error {
	p.report = update
	for i := range 2*updateBatch + 1 {
		update(fmt.Sprint(i), provider.StateRunning)
	}
	return errors.New("the rest could not be read")
}

func (p *plain) Increase(ctx context.Context, _ int) (int, error) {
	<-ctx.Done()
	close(p.ended)
	return 1, context.Cause(ctx)
}

func (p *plain) Decrease(_ context.Context, ids []string) ([]string, error) {
	return ids[:1], provider.Errorf(provider.KindThrottled, "one at a time")
}

func (p *plain) ConnectInfo(ctx context.Context, _ string) (provider.ConnectInfo, error) {
	deadline, _ := ctx.Deadline()
	p.left = time.Until(deadline)
	return provider.ConnectInfo{}, nil
}

func (p *plain) Shutdown(context.Context) error {
	p.shut.Store(true)
	return errors.New("it would not")
}

// serveInProcess runs the plugin side in this process, and returns a client.
func serveInProcess(t *testing.T, impl provider.InstanceGroup) (*server, pb.InstanceGroupClient) {
	t.Helper()
	pipe := bufconn.Listen(1 << 20)
	srv := newServer(impl, VersionInfo{Version: "9"}, hclog.NewNullLogger())
	s := grpc.NewServer()
	pb.RegisterInstanceGroupServer(s, srv)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(pipe) }()
	conn, err := grpc.NewClient("passthrough:plugin", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); s.Stop(); <-done })
	return srv, pb.NewInstanceGroupClient(conn)
}

func initialised(t *testing.T, impl provider.InstanceGroup) (*server, pb.InstanceGroupClient) {
	t.Helper()
	srv, client := serveInProcess(t, impl)
	resp, err := client.Init(t.Context(), &pb.InitRequest{PluginConfig: []byte(`{"name": "x"}`)})
	if err != nil || resp.GetFailure() != nil || resp.GetId() != "plain/x" || resp.GetVersion() != "9" || len(resp.GetCapabilities()) != 0 {
		t.Fatalf("Init = %v, %v", resp, err)
	}
	return srv, client
}

func TestServerBeforeInit(t *testing.T) {
	_, client := serveInProcess(t, &plain{})
	up, err := client.Increase(t.Context(), &pb.IncreaseRequest{Delta: 1})
	if err != nil || up.GetFailure().GetKind() != "transient" {
		t.Errorf("Increase = %v, %v", up, err)
	}
	stream, err := client.Update(t.Context(), &pb.UpdateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if msg, err := stream.Recv(); err != nil || msg.GetEnd().GetFailure() == nil {
		t.Errorf("Update = %v, %v", msg, err)
	}
	if down, err := client.Shutdown(t.Context(), &pb.ShutdownRequest{}); err != nil || down.GetFailure() != nil {
		t.Errorf("Shutdown of what never began = %v, %v", down, err)
	}
}

func TestServerInitsOnce(t *testing.T) {
	_, client := initialised(t, &plain{})
	if again, err := client.Init(t.Context(), &pb.InitRequest{}); err != nil || again.GetFailure() == nil {
		t.Errorf("a second Init = %v, %v", again, err)
	}
}

// A group without the optional methods returns an error that says so, and never one that makes an instance unhealthy.
func TestServerWithoutTheOptionalMethods(t *testing.T) {
	_, client := initialised(t, &plain{})
	beat, err := client.Heartbeat(t.Context(), &pb.InstanceRequest{Id: "1"})
	if failure := failureFromWire(beat.GetFailure(), same); err != nil || provider.KindOf(failure) != provider.KindConfig {
		t.Errorf("Heartbeat = %v, %v", failure, err)
	}
	for _, f := range []func(context.Context, *pb.InstancesRequest, ...grpc.CallOption) (*pb.InstancesResponse, error){client.Suspend, client.Resume} {
		resp, err := f(t.Context(), &pb.InstancesRequest{Ids: []string{"1"}})
		if failure := failureFromWire(resp.GetFailure(), same); err != nil || !errors.Is(failure, provider.ErrSuspendResumeNotSupported) {
			t.Errorf("Suspend or Resume = %v, %v", failure, err)
		}
	}
}

// The error of a list arrives after everything that was reported. Reports after the end of Update are ignored.
func TestServerListsInBatches(t *testing.T) {
	impl := &plain{}
	_, client := initialised(t, impl)
	stream, err := client.Update(t.Context(), &pb.UpdateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	n, messages := 0, 0
	for {
		msg, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		n += len(msg.GetInstances())
		messages++
		if end := msg.GetEnd(); end != nil {
			if end.GetFailure().GetMessage() != "the rest could not be read" {
				t.Errorf("the list ended with %v", end)
			}
			break
		}
	}
	if n != 2*updateBatch+1 || messages != 3 {
		t.Errorf("%d instances in %d messages", n, messages)
	}
	impl.report("late", provider.StateRunning)
}

func TestServerPartialSuccess(t *testing.T) {
	_, client := initialised(t, &plain{})
	resp, err := client.Decrease(t.Context(), &pb.InstancesRequest{Ids: []string{"a", "b"}})
	if err != nil || fmt.Sprint(resp.GetSucceeded()) != "[a]" || resp.GetFailure().GetKind() != "throttled" {
		t.Errorf("Decrease = %v, %v", resp, err)
	}
}

// The deadline of the group is a little earlier than that of the host, and never later.
func TestServerDeadline(t *testing.T) {
	impl := &plain{}
	_, client := initialised(t, impl)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if _, err := client.ConnectInfo(ctx, &pb.InstanceRequest{Id: "a"}); err != nil {
		t.Fatal(err)
	}
	if impl.left <= 0 || impl.left > time.Hour-500*time.Millisecond {
		t.Errorf("the group had %v of an hour", impl.left)
	}
}

// When the host is gone, the contexts of the calls end, and the process waits until the calls have returned. Shutdown is not called.
func TestServerAbandoned(t *testing.T) {
	impl := &plain{ended: make(chan struct{})}
	srv, client := initialised(t, impl)
	answer := make(chan *pb.IncreaseResponse, 1)
	go func() {
		resp, _ := client.Increase(context.Background(), &pb.IncreaseRequest{Delta: 2})
		answer <- resp
	}()
	srv.abandon(time.Second)
	<-impl.ended
	if resp := <-answer; resp.GetSucceeded() != 1 || resp.GetFailure().GetMessage() != errHostGone.Error() {
		t.Errorf("Increase = %v", resp)
	}
	if impl.shut.Load() {
		t.Error("Shutdown was called although the host did not ask for it")
	}
}

// A call that does not return holds up the end of the process for a limited time.
func TestServerAbandonedInACallThatHangs(t *testing.T) {
	srv := newServer(&plain{}, VersionInfo{}, hclog.NewNullLogger())
	_, done := srv.bound(t.Context())
	defer done()
	srv.abandon(10 * time.Millisecond)
	if srv.running.n != 1 {
		t.Errorf("%d calls run", srv.running.n)
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		ReasonUnknown.String(): "unknown", ReasonCancelled.String(): "cancelled", Reason(99).String(): "unknown",
		ReasonForeignProtocol.String(): "foreign protocol",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
