package gcetest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/api/googleapi"
	"google.golang.org/protobuf/proto"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

func (r *rig) getGroup() error {
	_, err := r.groups.Get(r.ctx, &computepb.GetInstanceGroupManagerRequest{Project: project, Zone: zoneA, InstanceGroupManager: "ci"})
	return err
}

func TestFaults(t *testing.T) {
	r := newRig(t, zonal(GroupConfig{}, newClock()))
	const get = "instanceGroupManagers.get"
	r.Fail(FaultSpec{Method: get, Status: http.StatusTooManyRequests, RetryAfter: 7 * time.Second, Skip: 1})
	if err := r.getGroup(); err != nil {
		t.Fatal(err)
	}
	// Google's client repeats a get by itself only for a status 503.
	err := r.getGroup()
	refused(t, err, http.StatusTooManyRequests, "rateLimitExceeded", "Quota exceeded")
	var e *googleapi.Error
	if errors.As(err, &e); e.Header.Get("Retry-After") != "7" {
		t.Errorf("the header is %v", e.Header)
	}
	r.Fail(FaultSpec{Method: get, Status: http.StatusForbidden, Message: "no"})
	refused(t, r.getGroup(), http.StatusForbidden, "forbidden", "no")
	r.Fail(FaultSpec{Method: get, Status: http.StatusBadGateway, Body: "<html>a proxy</html>"})
	if errors.As(r.getGroup(), &e); e.Code != http.StatusBadGateway || e.Body != "<html>a proxy</html>" {
		t.Errorf("the error is %+v", e)
	}
	r.Fail(FaultSpec{Method: "*", Cut: true})
	if err := r.getGroup(); err == nil {
		t.Error("an answer was cut, and there is no error")
	}
	r.Fail(FaultSpec{Method: get, Hang: true})
	ctx, cancel := context.WithTimeout(r.ctx, 50*time.Millisecond)
	defer cancel()
	_, err = r.groups.Get(ctx, &computepb.GetInstanceGroupManagerRequest{Project: project, Zone: zoneA, InstanceGroupManager: "ci"})
	if err == nil || ctx.Err() == nil {
		t.Errorf("the call did not hang: %v", err)
	}
	r.Fail(FaultSpec{Method: get, Times: -1})
	r.Heal()
	if err := r.getGroup(); err != nil {
		t.Error(err)
	}
}

func TestFailedOperation(t *testing.T) {
	r := newRig(t, zonal(GroupConfig{}, newClock()))
	r.Fail(FaultSpec{Method: "instanceGroupManagers.resize", Operation: &OperationFault{Code: "QUOTA_EXCEEDED"}})
	op, err := r.groups.Resize(r.ctx, &computepb.ResizeInstanceGroupManagerRequest{Project: project, Zone: zoneA, InstanceGroupManager: "ci", Size: 3})
	if err != nil {
		t.Fatal(err)
	}
	err = op.Wait(r.ctx)
	if err == nil || !strings.Contains(err.Error(), "FORBIDDEN") || op.Proto().GetError().GetErrors()[0].GetCode() != "QUOTA_EXCEEDED" || r.size() != 0 {
		t.Fatalf("the error is %v of %v, the size is %d", err, op.Proto(), r.size())
	}
	// The call works, and its answer is lost. Repeated with the same id, it has no second effect.
	id := "11111111-2222-4333-8444-555555555555"
	req := &computepb.ResizeInstanceGroupManagerRequest{Project: project, Zone: zoneA, InstanceGroupManager: "ci", Size: 3, RequestId: &id}
	r.Fail(FaultSpec{Method: "instanceGroupManagers.resize", After: true})
	if _, err = r.groups.Resize(r.ctx, req); err == nil {
		t.Fatal("there is no error")
	}
	r.resize(1)
	r.ok(r.groups.Resize(r.ctx, req))
	if r.size() != 1 {
		t.Fatalf("the size is %d", r.size())
	}
}

func TestFailedCreates(t *testing.T) {
	now := newClock()
	r := newRig(t, zonal(GroupConfig{}, now))
	var faults []OperationFault
	for _, code := range CreateFaults() {
		faults = append(faults, OperationFault{Code: code})
	}
	if err := r.FailCreates(zoneA, "ci", faults...); err != nil {
		t.Fatal(err)
	}
	r.resize(int32(len(faults))) //nolint:gosec // ten
	for i, m := range r.managed() {
		e := m.GetLastAttempt().GetErrors().GetErrors()[0]
		if e.GetCode() != faults[i].Code || strings.Contains(e.GetMessage(), "{") || m.GetCurrentAction() != "CREATING" {
			t.Errorf("the member is %v", m)
		}
	}
	now.forward(11 * time.Second)
	for _, m := range r.managed() {
		if m.GetCurrentAction() != "NONE" || m.LastAttempt != nil {
			t.Errorf("the member is %v", m)
		}
	}
	list := collect(t, r.groups.ListErrors(r.ctx, &computepb.ListErrorsInstanceGroupManagersRequest{Project: project, Zone: zoneA, InstanceGroupManager: "ci"}).Next)
	if len(list) != len(faults) {
		t.Errorf("there are %d errors", len(list))
	}
}

func TestCreatesWithoutRetries(t *testing.T) {
	now := newClock()
	r := newRig(t, zonal(GroupConfig{NoRetries: true, Reaction: time.Second}, now))
	if err := r.FailCreates(zoneA, "ci", OperationFault{Code: "QUOTA_EXCEEDED"}); err != nil {
		t.Fatal(err)
	}
	r.resize(2)
	r.want("CREATING_WITHOUT_RETRIES CREATING_WITHOUT_RETRIES")
	now.forward(time.Second)
	r.want("NONE/RUNNING")
	if r.size() != 1 {
		t.Fatalf("the size is %d", r.size())
	}
}

func TestModelOfTheCloud(t *testing.T) {
	now := newClock()
	model := slow()
	model.Quota.Limit = 2
	model.List.Lag = cloudmodel.D(10 * time.Second)
	r := newRig(t, zonal(GroupConfig{Model: model, TargetSize: 3, Paginated: true}, now))
	list := r.want("CREATING CREATING CREATING") // the list does not show the instances yet
	if list[0].Id != nil || list[2].GetLastAttempt().GetErrors().GetErrors()[0].GetCode() != "QUOTA_EXCEEDED" {
		t.Fatalf("the members are %v", list)
	}
	now.forward(31 * time.Second)
	list = r.want("CREATING/STAGING CREATING/STAGING CREATING")
	if in := r.get(zoneA, list[0].GetName()); in.GetStatus() != "RUNNING" {
		t.Fatalf("the instance is %v", in)
	}
	now.forward(10 * time.Second)
	r.want("NONE/RUNNING NONE/RUNNING CREATING")
	r.resize(0)
	now.forward(21 * time.Second)
	r.want("DELETING/STOPPING DELETING/STOPPING") // they are gone in truth
	if len(r.Instances()) != 0 {
		t.Fatalf("the instances are %v", r.Instances())
	}
	now.forward(10 * time.Second)
	r.want("")
}

func TestPages(t *testing.T) {
	for _, paginated := range []bool{false, true} {
		cfg := zonal(GroupConfig{TargetSize: 7, Paginated: paginated}, newClock())
		cfg.PageSize = 3
		r := newRig(t, cfg)
		if n := len(r.managed()); n != 7 {
			t.Fatalf("the list has %d members", n)
		}
		want := map[bool]int{false: 1, true: 3}[paginated]
		if n := r.Calls()["instanceGroupManagers.listManagedInstances"]; n != want {
			t.Errorf("paginated %v: %d calls", paginated, n)
		}
		all := collect(t, r.instances.List(r.ctx, &computepb.ListInstancesRequest{Project: project, Zone: zoneA, MaxResults: proto.Uint32(2)}).Next)
		if n := r.Calls()["instances.list"]; len(all) != 7 || n != 4 {
			t.Errorf("%d instances in %d calls", len(all), n)
		}
	}
}

func TestThrottle(t *testing.T) {
	now := newClock()
	cfg := zonal(GroupConfig{}, now)
	cfg.Throttle = map[string]Bucket{"instanceGroupManagers.get": {Size: 1, PerSecond: 0.5}}
	r := newRig(t, cfg)
	if err := r.getGroup(); err != nil {
		t.Fatal(err)
	}
	err := r.getGroup()
	refused(t, err, http.StatusForbidden, "rateLimitExceeded", "Quota exceeded for quota metric")
	// Google's apierror does not read these details, because it does not know the list errors beside them.
	var e *googleapi.Error
	if errors.As(err, &e); !strings.Contains(fmt.Sprint(e.Details), "reason:RATE_LIMIT_EXCEEDED") || r.Throttled() != 1 {
		t.Errorf("the details are %v", e.Details)
	}
	now.forward(2 * time.Second)
	if err := r.getGroup(); err != nil {
		t.Fatal(err)
	}
}
