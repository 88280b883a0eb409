package gcetest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

const (
	project = "acme-ci"
	zoneA   = "us-central1-a"
	zoneB   = "us-central1-b"
	region  = "us-central1"
)

// clock is a clock that a test turns.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// slow is a model in which a boot takes 30 s and a deletion 20 s.
func slow() cloudmodel.Config {
	return cloudmodel.Config{Boot: cloudmodel.Constant(30 * time.Second), Delete: cloudmodel.Constant(20 * time.Second)}
}

// rig is a server and Google's own client of it.
type rig struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // of the test
	*Server
	groups    *compute.InstanceGroupManagersClient
	regional  *compute.RegionInstanceGroupManagersClient
	instances *compute.InstancesClient
	ops       *compute.ZoneOperationsClient
}

func newRig(t *testing.T, cfg Config, opts ...option.ClientOption) *rig {
	t.Helper()
	s, err := start(cfg, recorder(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	r := &rig{t: t, ctx: t.Context(), Server: s}
	if len(opts) == 0 {
		opts = []option.ClientOption{option.WithoutAuthentication()}
	}
	opts = append(opts, option.WithEndpoint(s.URL()))
	r.groups = must(compute.NewInstanceGroupManagersRESTClient(r.ctx, opts...))
	r.regional = must(compute.NewRegionInstanceGroupManagersRESTClient(r.ctx, opts...))
	r.instances = must(compute.NewInstancesRESTClient(r.ctx, opts...))
	r.ops = must(compute.NewZoneOperationsRESTClient(r.ctx, opts...))
	return r
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (r *rig) ok(op *compute.Operation, err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := op.Wait(r.ctx); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) resize(n int32) {
	r.t.Helper()
	r.ok(r.groups.Resize(r.ctx, &computepb.ResizeInstanceGroupManagerRequest{Project: project, Zone: zoneA, InstanceGroupManager: "ci", Size: n}))
}

func (r *rig) managed() []*computepb.ManagedInstance {
	r.t.Helper()
	return collect(r.t, r.groups.ListManagedInstances(r.ctx, &computepb.ListManagedInstancesInstanceGroupManagersRequest{Project: project, Zone: zoneA, InstanceGroupManager: "ci"}).Next)
}

func collect[T any](t *testing.T, next func() (T, error)) (list []T) {
	t.Helper()
	for {
		one, err := next()
		if errors.Is(err, iterator.Done) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, one)
	}
}

// states are the actions and statuses of managed instances.
func states(list []*computepb.ManagedInstance) string {
	var all []string
	for _, m := range list {
		all = append(all, strings.TrimSuffix(m.GetCurrentAction()+"/"+m.GetInstanceStatus(), "/"))
	}
	return strings.Join(all, " ")
}

func (r *rig) want(want string) []*computepb.ManagedInstance {
	r.t.Helper()
	list := r.managed()
	if got := states(list); got != want {
		r.t.Fatalf("want %q, got %q", want, got)
	}
	return list
}

func (r *rig) get(zone, name string) *computepb.Instance {
	r.t.Helper()
	in, err := r.instances.Get(r.ctx, &computepb.GetInstanceRequest{Project: project, Zone: zone, Instance: name})
	if err != nil {
		r.t.Fatal(err)
	}
	return in
}

func (r *rig) size() int32 {
	r.t.Helper()
	g, err := r.groups.Get(r.ctx, &computepb.GetInstanceGroupManagerRequest{Project: project, Zone: zoneA, InstanceGroupManager: "ci"})
	if err != nil {
		r.t.Fatal(err)
	}
	return g.GetTargetSize()
}

// refused checks that a call was refused with this status and reason.
func refused(t *testing.T, err error, status int, reason, message string) {
	t.Helper()
	var e *googleapi.Error
	if !errors.As(err, &e) || e.Code != status || len(e.Errors) == 0 || e.Errors[0].Reason != reason || !strings.Contains(e.Message, message) {
		t.Fatalf("want status %d (%s), reason %s, a message with %q, got %v", status, http.StatusText(status), reason, message, err)
	}
}

func zonal(g GroupConfig, now *clock) Config {
	g.Name, g.Zone = "ci", zoneA
	return Config{Groups: []GroupConfig{g}, Now: now.now}
}
