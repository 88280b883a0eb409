package plugin

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/plugin/internal/pb"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// odd is a group whose texts are any bytes, and whose methods panic on request.
type odd struct {
	plain
	id    string
	err   error
	panic bool
}

func (o *odd) fail() error {
	if o.panic {
		panic("a bug\nin the group")
	}
	return o.err
}

func (o *odd) Update(_ context.Context, update func(id string, state provider.State)) error {
	update("before", provider.StateRunning)
	update(o.id, "run\xffning\n"+provider.State(strings.Repeat("x", 1000)))
	update("after", provider.StateRunning)
	return o.fail()
}

func (o *odd) Increase(context.Context, int) (int, error) { return 3, o.fail() }
func (o *odd) Decrease(context.Context, []string) ([]string, error) {
	return []string{"a", o.id}, o.fail()
}
func (o *odd) Suspend(context.Context, []string) ([]string, error) { return nil, o.fail() }
func (o *odd) Resume(context.Context, []string) ([]string, error)  { return nil, o.fail() }
func (o *odd) Heartbeat(context.Context, string) error             { return o.fail() }
func (o *odd) Shutdown(context.Context) error                      { return o.fail() }
func (o *odd) ConnectInfo(context.Context, string) (provider.ConnectInfo, error) {
	return provider.ConnectInfo{ID: o.id}, o.fail()
}

func (o *odd) Init(_ context.Context, _ hclog.Logger, _ provider.Settings) (provider.ProviderInfo, error) {
	return provider.ProviderInfo{ID: "odd", Version: "1", Capabilities: []provider.Capability{provider.CapabilityHeartbeat, "caf\xe9"}}, nil
}

// serveOdd returns a client of o after Init.
func serveOdd(t *testing.T, o *odd) pb.InstanceGroupClient {
	t.Helper()
	_, client := serveInProcess(t, o)
	if resp, err := client.Init(t.Context(), &pb.InitRequest{}); err != nil || resp.GetFailure() != nil || resp.GetId() != "odd" {
		t.Fatalf("Init = %v, %v", resp, err)
	}
	return client
}

// A failure whose text is not UTF-8, such as what a machine's shell printed, keeps its kind and what succeeded.
func TestFailureOfAnyBytes(t *testing.T) {
	client := serveOdd(t, &odd{err: provider.Errorf(provider.KindQuota, "Kontingent ersch\xf6pft\n\x1b[2J%s", strings.Repeat("é", 1<<20))})
	up, err := client.Increase(t.Context(), &pb.IncreaseRequest{Delta: 5})
	if err != nil || up.GetSucceeded() != 3 || up.GetFailure().GetKind() != "quota" {
		t.Fatalf("3 of 5 were accepted; the host hears %.200v, %v", up, err)
	}
	got := failureFromWire(up.GetFailure(), same).Error()
	if !strings.HasPrefix(got, `quota exceeded: Kontingent ersch\xf6pft \x1b[2Jéé`) && !strings.HasPrefix(got, `quota: Kontingent ersch\xf6pft \x1b[2Jéé`) || len(got) > 5000 {
		t.Errorf("the failure reads %.200q (%d bytes)", got, len(got))
	}
	down, err := client.Decrease(t.Context(), &pb.InstancesRequest{Ids: []string{"a"}})
	if err != nil || down.GetFailure().GetKind() != "quota" || down.GetSucceeded()[0] != "a" {
		t.Errorf("Decrease = %.200v, %v", down, err)
	}
	if beat, err := client.Heartbeat(t.Context(), &pb.InstanceRequest{Id: "a"}); err != nil || beat.GetFailure().GetKind() != "quota" {
		t.Errorf("Heartbeat = %.200v, %v", beat, err)
	}
}

// The others of a list arrive although one has an id of any bytes. The host can tell that it cannot use that one.
func TestListOfAnyBytes(t *testing.T) {
	for _, id := range []string{"", "caf\xe9", "a\nb", strings.Repeat("x", 10000)} {
		stream, err := serveOdd(t, &odd{id: id}).Update(t.Context(), &pb.UpdateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		msg, err := stream.Recv()
		if err != nil || len(msg.GetInstances()) != 3 || msg.GetEnd().GetFailure() != nil {
			t.Fatalf("the list with %.40q is %.200v, %v", id, msg, err)
		}
		for _, in := range msg.GetInstances() {
			if usable := provider.CheckID(in.GetId()) == nil; usable != (in.GetId() == "before" || in.GetId() == "after") {
				t.Errorf("%.40q came as %.40q", id, in.GetId())
			}
		}
		if state := msg.GetInstances()[1].GetState(); !strings.HasPrefix(state, `run\xffning xx`) || len(state) > maxSentState {
			t.Errorf("the state is %q", state)
		}
	}
}

// Connect info that cannot be sent is a fault that names the field, and no broken answer. No value is shown, because it may be a secret.
func TestConnectInfoOfAnyBytes(t *testing.T) {
	for want, c := range map[string]provider.ConnectInfo{
		"password":      {ConnectorConfig: provider.ConnectorConfig{Password: "hunter\xff"}},
		"username":      {ConnectorConfig: provider.ConnectorConfig{Username: "hunter\xff"}},
		"external_addr": {ExternalAddr: "hunter\xff"},
		"host_keys":     {HostKeys: []string{"fine", "hunter\xff"}},
	} {
		err := checkConnectInfo(c)
		if provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), want+" is not valid UTF-8") || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v", want, err)
		}
	}
	resp, err := serveOdd(t, &odd{id: "caf\xe9"}).ConnectInfo(t.Context(), &pb.InstanceRequest{Id: "a"})
	if err != nil || resp.GetFailure().GetMessage() != "id is not valid UTF-8" {
		t.Errorf("ConnectInfo = %v, %v", resp, err)
	}
}

// Every text of a message that is made from any bytes can be sent.
func TestEveryTextCanBeSent(t *testing.T) {
	f := failureToWire(errors.New("\xff"))
	info := infoToWire(provider.ProviderInfo{ID: "\xff", Version: "\xff", BuildInfo: "\xff"}, []provider.Capability{"\xff"})
	for _, m := range []interface{ String() string }{f, info} {
		walkTexts(t, reflect.ValueOf(m).Elem())
	}
}

func walkTexts(t *testing.T, v reflect.Value) {
	for i := range v.NumField() {
		if field := v.Type().Field(i); field.IsExported() && strings.Contains(v.Field(i).String(), "\xff") {
			t.Errorf("%s.%s is %q", v.Type(), field.Name, v.Field(i).String())
		}
	}
}

// A panic of the group is the error of its call. The next call works.
func TestPanicInACall(t *testing.T) {
	o := &odd{panic: true}
	client := serveOdd(t, o)
	failures := map[string]*pb.Failure{}
	up, err := client.Increase(t.Context(), &pb.IncreaseRequest{Delta: 1})
	failures["Increase"] = up.GetFailure()
	down, err2 := client.Decrease(t.Context(), &pb.InstancesRequest{})
	failures["Decrease"] = down.GetFailure()
	sus, err3 := client.Suspend(t.Context(), &pb.InstancesRequest{})
	failures["Suspend"] = sus.GetFailure()
	res, err4 := client.Resume(t.Context(), &pb.InstancesRequest{})
	failures["Resume"] = res.GetFailure()
	info, err5 := client.ConnectInfo(t.Context(), &pb.InstanceRequest{Id: "a"})
	failures["ConnectInfo"] = info.GetFailure()
	beat, err6 := client.Heartbeat(t.Context(), &pb.InstanceRequest{Id: "a"})
	failures["Heartbeat"] = beat.GetFailure()
	stream, err7 := client.Update(t.Context(), &pb.UpdateRequest{})
	if err := errors.Join(err, err2, err3, err4, err5, err6, err7); err != nil {
		t.Fatal(err)
	}
	list, err := stream.Recv()
	failures["Update"] = list.GetEnd().GetFailure()
	if err != nil {
		t.Fatal(err)
	}
	for method, f := range failures {
		if got := failureFromWire(f, same); provider.KindOf(got) != provider.KindTransient || !strings.Contains(got.Error(), "the plugin panicked in "+method+": a bug in the group") {
			t.Errorf("%s = %v", method, got)
		}
	}
	o.panic = false
	if up, err := client.Increase(t.Context(), &pb.IncreaseRequest{Delta: 1}); err != nil || up.GetFailure() != nil || up.GetSucceeded() != 3 {
		t.Errorf("after the panics, Increase = %v, %v", up, err)
	}
	o.panic = true
	if end, err := client.Shutdown(t.Context(), &pb.ShutdownRequest{}); err != nil || end.GetFailure() == nil {
		t.Errorf("Shutdown = %v, %v", end, err)
	}
}

// What Init says about the capabilities counts more than the methods of the type.
func TestCapabilitiesThatInitSays(t *testing.T) {
	_, client := serveInProcess(t, &odd{})
	resp, err := client.Init(t.Context(), &pb.InitRequest{})
	if err != nil || !reflect.DeepEqual(resp.GetCapabilities(), []string{"heartbeat"}) {
		t.Errorf("Init = %v, %v", resp, err)
	}
}
