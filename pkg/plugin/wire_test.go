package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/taskscaler/taskscaler/pkg/plugin/internal/pb"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// wireAnswers is a plugin whose answers are given.
type wireAnswers struct {
	pb.InstanceGroupClient
	init *pb.InitResponse
	list []*pb.UpdateResponse
	up   *pb.IncreaseResponse
	ids  *pb.InstancesResponse
	info *pb.ConnectInfoResponse
	beat *pb.HeartbeatResponse
}

func (w *wireAnswers) Init(context.Context, *pb.InitRequest, ...grpc.CallOption) (*pb.InitResponse, error) {
	return w.init, nil
}

func (w *wireAnswers) Update(context.Context, *pb.UpdateRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[pb.UpdateResponse], error) {
	return &wireList{left: w.list}, nil
}

func (w *wireAnswers) Increase(context.Context, *pb.IncreaseRequest, ...grpc.CallOption) (*pb.IncreaseResponse, error) {
	return w.up, nil
}

func (w *wireAnswers) Decrease(context.Context, *pb.InstancesRequest, ...grpc.CallOption) (*pb.InstancesResponse, error) {
	return w.ids, nil
}

func (w *wireAnswers) ConnectInfo(context.Context, *pb.InstanceRequest, ...grpc.CallOption) (*pb.ConnectInfoResponse, error) {
	return w.info, nil
}

func (w *wireAnswers) Heartbeat(context.Context, *pb.InstanceRequest, ...grpc.CallOption) (*pb.HeartbeatResponse, error) {
	return w.beat, nil
}

// wireList is the stream of a list. Its last message is repeated for ever.
type wireList struct {
	grpc.ClientStream
	left []*pb.UpdateResponse
}

func (l *wireList) Recv() (*pb.UpdateResponse, error) {
	if len(l.left) == 0 {
		return nil, io.EOF
	}
	msg := l.left[0]
	if len(l.left) > 1 {
		l.left = l.left[1:]
	}
	return msg, nil
}

// talk returns a Process that talks to w.
func talk(w *wireAnswers) *Process {
	p := newProcess(LaunchOptions{Path: "/plugin"}.withDefaults())
	p.cur, p.state = &child{rpc: w}, &initState{}
	return p
}

// oneLine fails unless the text of err is one line of bounded length with something in it.
func oneLine(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if s := err.Error(); s == "" || len(s) > 8<<10 || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		t.Fatalf("the text of an error: %q", s)
	}
	if provider.KindOf(err) == 0 || provider.FailureOf(err).RetryAfter < 0 {
		t.Fatalf("%v has the kind %v and the rest %v", err, provider.KindOf(err), provider.FailureOf(err).RetryAfter)
	}
}

// Numbers, ids and texts that no correct plugin sends are errors of the call, and never results.
func TestImpossibleAnswers(t *testing.T) {
	ctx := t.Context()
	for _, c := range []struct {
		n    int64
		want int
	}{{-1, 0}, {math.MinInt64, 0}, {4, 3}, {math.MaxInt64, 3}, {1 << 32, 3}} {
		n, err := talk(&wireAnswers{up: &pb.IncreaseResponse{Succeeded: c.n}}).Increase(ctx, 3)
		if n != c.want || err == nil || provider.KindOf(err) != provider.KindTransient || !strings.Contains(err.Error(), fmt.Sprint(c.n)) {
			t.Errorf("%d of 3: %d, %v", c.n, n, err)
		}
	}
	ids, err := talk(&wireAnswers{ids: &pb.InstancesResponse{Succeeded: []string{"b", "x", "b", ""}}}).Decrease(ctx, []string{"a", "b"})
	if !slices.Equal(ids, []string{"b"}) || err == nil || !strings.Contains(err.Error(), "2 ids that nobody asked for") {
		t.Errorf("Decrease = %q, %v", ids, err)
	}
	for want, r := range map[string]*pb.ConnectInfoResponse{
		"the port is -22":      {Connector: &pb.ConnectorConfig{ProtocolPort: -22}},
		"the port is 70000":    {Connector: &pb.ConnectorConfig{ProtocolPort: 70000}},
		"timeout is -1ns":      {Connector: &pb.ConnectorConfig{TimeoutNs: -1}},
		"os has 1025 bytes":    {Connector: &pb.ConnectorConfig{Os: strings.Repeat("x", maxAddress+1)}},
		"arch has 1 bytes":     {Connector: &pb.ConnectorConfig{Arch: "\n"}},
		"protocol has 4 bytes": {Connector: &pb.ConnectorConfig{Protocol: "ssh\r"}},
		"the id is \"b\"":      {Id: "b"},
		"external_addr":        {ExternalAddr: "10.0.0.1\n"},
		"internal_addr":        {InternalAddr: strings.Repeat("x", maxAddress+1)},
		"username":             {Connector: &pb.ConnectorConfig{Username: "\x1b[2J"}},
		"the password or the":  {Connector: &pb.ConnectorConfig{Password: strings.Repeat("x", maxCredential+1)}},
		"65 host keys":         {HostKeys: make([]string, maxHostKeys+1)},
		"a host key has 65537": {HostKeys: []string{strings.Repeat("x", maxCredential+1)}},
		"in the year 285":      {Expires: &pb.Time{Seconds: 1 << 53}},
		"in the year -":        {Expires: &pb.Time{Seconds: math.MinInt64 / 4}},
	} {
		info, err := talk(&wireAnswers{info: r}).ConnectInfo(ctx, "a")
		if err == nil || provider.KindOf(err) != provider.KindTransient || !strings.Contains(err.Error(), want) || info.ID != "" {
			t.Errorf("%s: %v, %v", want, info, err)
		}
		oneLine(t, err)
	}
	if _, err := talk(&wireAnswers{info: &pb.ConnectInfoResponse{}}).ConnectInfo(ctx, "a"); err != nil {
		t.Errorf("an empty answer: %v", err)
	}
	none := &pb.ConnectInfoResponse{Connector: &pb.ConnectorConfig{KeepaliveNs: math.MinInt64}} // negative: no keepalives
	if info, err := talk(&wireAnswers{info: none}).ConnectInfo(ctx, "a"); err != nil || info.Keepalive >= 0 {
		t.Errorf("without keepalives: %s, %v", info.Keepalive, err)
	}
}

func TestImpossibleInit(t *testing.T) {
	for want, r := range map[string]*pb.InitResponse{
		"can hold -1 instances":           {Id: "g", MaxSize: -1},
		"does not say which group":        {},
		"does not say which group it man": {Id: "a\nb"},
		"the plugin gave no reason":       {Failure: &pb.Failure{}},
	} {
		p := talk(&wireAnswers{init: r})
		err := p.initialise(t.Context(), p.cur, &initState{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		oneLine(t, err)
	}
	info := infoFromWire(&pb.InitResponse{Id: "g", Capabilities: append(make([]string, 1000), "\x1b")})
	if len(info.Capabilities) != maxCapabilities {
		t.Errorf("%d capabilities", len(info.Capabilities))
	}
}

// A list that does not end is an error. So is one without its end mark, and what was listed before counts for nothing.
func TestListsWithoutAnEnd(t *testing.T) {
	batch := &pb.UpdateResponse{Instances: make([]*pb.Instance, 10_000)}
	n := 0
	err := talk(&wireAnswers{list: []*pb.UpdateResponse{batch}}).Update(t.Context(), func(string, provider.State) { n++ })
	if err == nil || n > maxListed || !strings.Contains(err.Error(), "more than 1000000 instances") {
		t.Errorf("an endless list: %d, %v", n, err)
	}
}

// The answers of the group to requests that no correct host sends do not reach it.
func TestImpossibleRequests(t *testing.T) {
	_, client := initialised(t, &plain{})
	for _, n := range []int64{0, -1, math.MinInt64, math.MaxInt64} {
		if r, err := client.Increase(t.Context(), &pb.IncreaseRequest{Delta: n}); err != nil || !strings.Contains(r.GetFailure().GetMessage(), fmt.Sprint(n)) || r.GetSucceeded() != 0 {
			t.Errorf("Increase by %d: %v, %v", n, r, err)
		}
	}
	if r, err := client.Decrease(t.Context(), &pb.InstancesRequest{Ids: []string{"a", ""}}); err != nil || r.GetFailure() == nil {
		t.Errorf("Decrease: %v, %v", r, err)
	}
	if r, err := client.ConnectInfo(t.Context(), &pb.InstanceRequest{Id: "a\n"}); err != nil || r.GetFailure() == nil {
		t.Errorf("ConnectInfo: %v, %v", r, err)
	}
	if r, err := client.Heartbeat(t.Context(), &pb.InstanceRequest{}); err != nil || r.GetFailure() == nil {
		t.Errorf("Heartbeat: %v, %v", r, err)
	}
}

// Settings that no correct host sends are an error of Init that names the field and shows no value of a secret. The group does not see them.
func TestImpossibleSettings(t *testing.T) {
	for want, c := range map[string]*pb.ConnectorConfig{
		"the port is 65536":              {ProtocolPort: 65536},
		"the port is -2147483648":        {ProtocolPort: math.MinInt32},
		"the timeout is -1ns":            {TimeoutNs: -1},
		"os has 2048 bytes":              {Os: strings.Repeat("x", 2048)},
		"arch has 3 bytes":               {Arch: "a\x1bb"},
		"protocol has 1025 bytes":        {Protocol: strings.Repeat("x", maxAddress+1)},
		"username has 5 bytes":           {Username: "root\n"},
		"the password or the key has mo": {Password: strings.Repeat("p", maxCredential+1)},
		"the key has more than 65536":    {Key: make([]byte, maxCredential+1)},
	} {
		group := &seen{}
		_, client := serveInProcess(t, group)
		r, err := client.Init(t.Context(), &pb.InitRequest{Connector: c})
		got := failureFromWire(r.GetFailure(), same)
		if err != nil || provider.KindOf(got) != provider.KindConfig || !strings.Contains(fmt.Sprint(got), want) || !strings.Contains(fmt.Sprint(got), "connector_config") || group.called {
			t.Errorf("%s: %v, %v, called %t", want, got, err, group.called)
		}
		oneLine(t, got)
	}
	group := &seen{}
	_, client := serveInProcess(t, group)
	edge := &pb.ConnectorConfig{ProtocolPort: maxPort, TimeoutNs: math.MaxInt64, KeepaliveNs: -5, Username: strings.Repeat("u", maxAddress), Key: make([]byte, maxCredential)}
	if r, err := client.Init(t.Context(), &pb.InitRequest{Connector: edge}); err != nil || r.GetFailure() != nil || !group.called || group.settings.Keepalive >= 0 {
		t.Errorf("at the bounds: %v, %v, %v", r, err, group.settings)
	}
}

// seen is a group that remembers its Init.
type seen struct {
	plain
	called   bool
	settings provider.Settings
}

func (s *seen) Init(_ context.Context, _ hclog.Logger, settings provider.Settings) (provider.ProviderInfo, error) {
	s.called, s.settings = true, settings
	return provider.ProviderInfo{ID: "seen"}, nil
}

// mute is an error type whose nil pointer cannot be read.
type mute struct{ text string }

func (m *mute) Error() string { return m.text }

// Errors without a text, and values that only look like errors, are failures of one call and do not end the plugin.
func TestErrorsWithoutAText(t *testing.T) {
	for name, err := range map[string]error{
		"a nil pointer":             (*mute)(nil),
		"a nil provider.Error":      (*provider.Error)(nil),
		"one around it":             fmt.Errorf("outer: %w", (*provider.Error)(nil)),
		"a kind alone":              &provider.Error{Kind: provider.KindQuota},
		"an empty text":             &mute{},
		"a kind with an empty text": provider.Errorf(provider.KindQuota, ""),
	} {
		got := failureFromWire(failureToWire(err), same)
		if got == nil {
			t.Errorf("%s came as no error", name)
		}
		oneLine(t, got)
		if strings.Contains(name, "kind") != (provider.KindOf(got) == provider.KindQuota) {
			t.Errorf("%s came as %v", name, got)
		}
	}
}

// Ids that are far too long do not make a message of a list that cannot be sent.
func TestLongIdsInAList(t *testing.T) {
	sent := &countedList{}
	l := lister{stream: sent}
	for range 300 {
		l.add(strings.Repeat("x", 100<<10), provider.StateRunning)
	}
	if err := l.finish(nil); err != nil || sent.n != 300 || sent.largest > updateBytes+200<<10 {
		t.Errorf("%d instances, the largest message has %d bytes, %v", sent.n, sent.largest, err)
	}
}

type countedList struct {
	grpc.ServerStream
	n, largest int
}

func (c *countedList) Send(m *pb.UpdateResponse) error {
	c.n += len(m.GetInstances())
	c.largest = max(c.largest, proto.Size(m))
	return nil
}

func decode[M any, P interface {
	*M
	proto.Message
}](raw []byte) P {
	m := P(new(M))
	if proto.Unmarshal(raw, m) != nil {
		return P(new(M))
	}
	return m
}

func encode(t testing.TB, m proto.Message) []byte {
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Whatever a plugin answers, the host gets an error that it can print, or a result that it can use.
func FuzzAnswers(f *testing.F) {
	for _, m := range []proto.Message{
		&pb.InitResponse{Id: "g", MaxSize: -1, Version: "\n", Capabilities: []string{"x"}},
		&pb.UpdateResponse{Instances: []*pb.Instance{{}, {Id: "a", State: "running"}}, End: &pb.End{}},
		&pb.IncreaseResponse{Succeeded: 1 << 40, Failure: &pb.Failure{Kind: "none", RetryAfterNs: -1}},
		&pb.InstancesResponse{Succeeded: []string{"a", "a", "x"}},
		&pb.ConnectInfoResponse{Connector: &pb.ConnectorConfig{ProtocolPort: -1}, Expires: &pb.Time{Seconds: 1 << 60, Nanos: -1}},
		&pb.HeartbeatResponse{Failure: &pb.Failure{Message: "\x1b[2J", Sentinel: 1}},
	} {
		f.Add(encode(f, m))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p := talk(&wireAnswers{
			init: decode[pb.InitResponse](raw), list: []*pb.UpdateResponse{decode[pb.UpdateResponse](raw), {End: &pb.End{}}},
			up: decode[pb.IncreaseResponse](raw), ids: decode[pb.InstancesResponse](raw), info: decode[pb.ConnectInfoResponse](raw),
			beat: decode[pb.HeartbeatResponse](raw),
		})
		state := &initState{}
		err := p.initialise(t.Context(), p.cur, state)
		oneLine(t, err)
		if err == nil && (provider.CheckID(state.info.ID) != nil || state.info.MaxSize < 0) {
			t.Fatalf("Init = %+v", state.info)
		}
		oneLine(t, p.Update(t.Context(), func(string, provider.State) {}))
		n, err := p.Increase(t.Context(), 3)
		oneLine(t, err)
		if n < 0 || n > 3 {
			t.Fatalf("Increase = %d", n)
		}
		ids, err := p.Decrease(t.Context(), []string{"a", "b"})
		oneLine(t, err)
		if left := slices.DeleteFunc(ids, func(id string) bool { return id == "a" || id == "b" }); len(ids) > 2 || len(left) > 0 {
			t.Fatalf("Decrease = %q", ids)
		}
		info, err := p.ConnectInfo(t.Context(), "a")
		oneLine(t, err)
		if _, bad := json.Marshal(info); err == nil && (bad != nil || info.ProtocolPort < 0 || info.ProtocolPort > maxPort) {
			t.Fatalf("ConnectInfo = %v, %v", info, bad)
		}
		oneLine(t, p.Heartbeat(t.Context(), "a"))
	})
}

// strict is a group that fails the test if a request reaches it that no correct host sends.
type strict struct {
	plain
	t *testing.T
}

func (s *strict) Init(_ context.Context, _ hclog.Logger, settings provider.Settings) (provider.ProviderInfo, error) {
	if settings.ProtocolPort < 0 || settings.ProtocolPort > maxPort || settings.Timeout < 0 || strings.ContainsFunc(settings.Username, unicode.IsControl) {
		s.t.Errorf("Init with %v", settings)
	}
	return provider.ProviderInfo{ID: "strict"}, nil
}

func (s *strict) Increase(_ context.Context, n int) (int, error) {
	if n < 1 || n > maxListed {
		s.t.Errorf("Increase by %d", n)
	}
	return n, nil
}

func (s *strict) Decrease(_ context.Context, ids []string) ([]string, error) {
	for _, id := range ids {
		s.check(id)
	}
	return ids, nil
}

func (s *strict) ConnectInfo(_ context.Context, id string) (provider.ConnectInfo, error) {
	s.check(id)
	return provider.ConnectInfo{ID: id}, nil
}

func (s *strict) Heartbeat(_ context.Context, id string) error {
	s.check(id)
	return nil
}

func (s *strict) check(id string) {
	if err := provider.CheckID(id); err != nil {
		s.t.Errorf("the group gets an id that %v", err)
	}
}

// Whatever a host sends, the group gets only requests that make sense, and the answers can be sent.
func FuzzHostRequests(f *testing.F) {
	for _, m := range []proto.Message{
		&pb.InitRequest{PluginConfig: []byte(`{"name": 1}`), Connector: &pb.ConnectorConfig{TimeoutNs: -int64(time.Hour)}},
		&pb.InitRequest{PluginConfig: []byte(`{"name": "x"}`), Connector: &pb.ConnectorConfig{ProtocolPort: 70000, Username: "\n"}}, &pb.IncreaseRequest{Delta: -1},
		&pb.InstancesRequest{Ids: []string{"", "\n"}}, &pb.InstanceRequest{Id: "a\x1b"},
	} {
		f.Add(encode(f, m))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		srv := newServer(&strict{t: t}, VersionInfo{}, hclog.NewNullLogger())
		first, err := srv.Init(t.Context(), decode[pb.InitRequest](raw))
		sendable(t, first, err)
		srv.ready.Store(true)
		up, err := srv.Increase(t.Context(), decode[pb.IncreaseRequest](raw))
		sendable(t, up, err)
		down, err := srv.Decrease(t.Context(), decode[pb.InstancesRequest](raw))
		sendable(t, down, err)
		sus, err := srv.Suspend(t.Context(), decode[pb.InstancesRequest](raw))
		sendable(t, sus, err)
		info, err := srv.ConnectInfo(t.Context(), decode[pb.InstanceRequest](raw))
		sendable(t, info, err)
		beat, err := srv.Heartbeat(t.Context(), decode[pb.InstanceRequest](raw))
		sendable(t, beat, err)
	})
}

func sendable(t *testing.T, m proto.Message, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	encode(t, m)
}
