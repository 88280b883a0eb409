package gcetest

import (
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

func (r *rig) members() []*computepb.ManagedInstance {
	r.t.Helper()
	return collect(r.t, r.regional.ListManagedInstances(r.ctx, &computepb.ListManagedInstancesRegionInstanceGroupManagersRequest{Project: project, Region: region,
		InstanceGroupManager: "ci"}).Next)
}

func (r *rig) resizeRegional(n int32) {
	r.t.Helper()
	r.ok(r.regional.Resize(r.ctx, &computepb.ResizeRegionInstanceGroupManagerRequest{Project: project, Region: region, InstanceGroupManager: "ci", Size: n}))
}

func inZone(list []*computepb.ManagedInstance, zone string) (some []*computepb.ManagedInstance) {
	for _, m := range list {
		if strings.Contains(m.GetInstance(), "/zones/"+zone+"/") {
			some = append(some, m)
		}
	}
	return some
}

func TestRegionalGroup(t *testing.T) {
	now := newClock()
	r := newRig(t, Config{Now: now.now, Groups: []GroupConfig{{Name: "ci", Region: region, Model: slow()}}})
	if err := r.StockOut(zoneB, true); err != nil {
		t.Fatal(err)
	}
	r.resizeRegional(4)
	now.forward(31 * time.Second)
	list := r.members()
	if a, b := inZone(list, zoneA), inZone(list, zoneB); states(a) != "NONE/RUNNING NONE/RUNNING" || states(b) != "CREATING CREATING" {
		t.Fatalf("the members are %q and %q", states(a), states(b))
	} else if e := b[0].GetLastAttempt().GetErrors().GetErrors(); b[0].Id != nil || len(e) != 1 || e[0].GetCode() != "ZONE_RESOURCE_POOL_EXHAUSTED" {
		t.Fatalf("the member without instance is %v", b[0])
	}
	faults := collect(t, r.regional.ListErrors(r.ctx, &computepb.ListErrorsRegionInstanceGroupManagersRequest{Project: project, Region: region, InstanceGroupManager: "ci"}).Next)
	if len(faults) != 6 || !strings.Contains(faults[0].GetError().GetMessage(), "The zone 'projects/acme-ci/zones/us-central1-b' does not have enough resources") ||
		faults[0].GetInstanceActionDetails().GetAction() != "CREATING" { // at once, after 10 s, and after 30 s
		t.Fatalf("%d errors: %v", len(faults), faults)
	}
	if err := r.StockOut(zoneB, false); err != nil {
		t.Fatal(err)
	}
	now.forward(2 * time.Minute)
	if list = r.members(); states(list) != strings.TrimSpace(strings.Repeat("NONE/RUNNING ", 4)) {
		t.Fatalf("the members are %q", states(list))
	}
	r.regionalActions(now, list)
}

// regionalActions recreates, abandons and deletes one instance each, and creates one by name.
func (r *rig) regionalActions(now *clock, list []*computepb.ManagedInstance) {
	r.t.Helper()
	r.ok(r.regional.RecreateInstances(r.ctx, &computepb.RecreateInstancesRegionInstanceGroupManagerRequest{Project: project, Region: region, InstanceGroupManager: "ci",
		RegionInstanceGroupManagersRecreateRequestResource: &computepb.RegionInstanceGroupManagersRecreateRequest{Instances: []string{list[0].GetInstance()}}}))
	r.ok(r.regional.AbandonInstances(r.ctx, &computepb.AbandonInstancesRegionInstanceGroupManagerRequest{Project: project, Region: region, InstanceGroupManager: "ci",
		RegionInstanceGroupManagersAbandonInstancesRequestResource: &computepb.RegionInstanceGroupManagersAbandonInstancesRequest{Instances: []string{list[1].GetInstance()}}}))
	r.ok(r.regional.DeleteInstances(r.ctx, &computepb.DeleteInstancesRegionInstanceGroupManagerRequest{Project: project, Region: region, InstanceGroupManager: "ci",
		RegionInstanceGroupManagersDeleteInstancesRequestResource: &computepb.RegionInstanceGroupManagersDeleteInstancesRequest{Instances: []string{list[2].GetInstance()}}}))
	r.ok(r.regional.CreateInstances(r.ctx, &computepb.CreateInstancesRegionInstanceGroupManagerRequest{Project: project, Region: region, InstanceGroupManager: "ci",
		RegionInstanceGroupManagersCreateInstancesRequestResource: &computepb.RegionInstanceGroupManagersCreateInstancesRequest{
			Instances: []*computepb.PerInstanceConfig{{Name: proto.String("ci-mine")}},
		}}))
	if got := states(r.members()); got != "RECREATING/STOPPING DELETING/STOPPING NONE/RUNNING CREATING/PROVISIONING" {
		r.t.Fatalf("the members are %q", got)
	}
	now.forward(time.Minute)
	after := r.members()
	g := must(r.regional.Get(r.ctx, &computepb.GetRegionInstanceGroupManagerRequest{Project: project, Region: region, InstanceGroupManager: "ci"}))
	if states(after) != "NONE/RUNNING NONE/RUNNING NONE/RUNNING" || g.GetTargetSize() != 3 || after[0].GetName() != list[0].GetName() || after[2].GetName() != "ci-mine" {
		r.t.Fatalf("target size %d: %v", g.GetTargetSize(), after)
	}
	abandoned := list[1].GetName()
	if all := r.Instances(); len(all) != 4 || all[3].Name != abandoned || all[3].Group != "" {
		r.t.Fatalf("the instances are %v", all)
	}
	zone := strings.Split(list[1].GetInstance(), "/")[8]
	r.ok(r.instances.Delete(r.ctx, &computepb.DeleteInstanceRequest{Project: project, Zone: zone, Instance: abandoned}))
	now.forward(time.Minute)
	if all := r.Instances(); len(all) != 3 {
		r.t.Fatalf("the instances are %v", all)
	}
}

func TestShapesAvoidAStockOut(t *testing.T) {
	for shape, want := range map[string]int{"EVEN": 2, "BALANCED": 4, "ANY": 4, "ANY_SINGLE_ZONE": 4} {
		r := newRig(t, Config{Now: newClock().now, Groups: []GroupConfig{{Name: "ci", Region: region, Shape: shape}}})
		if err := r.StockOut(zoneA, true); err != nil {
			t.Fatal(err)
		}
		r.resizeRegional(4)
		if n := strings.Count(states(r.members()), "NONE/RUNNING"); n != want {
			t.Errorf("%s: %d instances run", shape, n)
		}
	}
}

func TestZonalActions(t *testing.T) {
	now := newClock()
	r := newRig(t, zonal(GroupConfig{Model: slow(), TargetSize: 3}, now))
	now.forward(time.Minute)
	list := r.want("NONE/RUNNING NONE/RUNNING NONE/RUNNING")
	r.ok(r.groups.RecreateInstances(r.ctx, &computepb.RecreateInstancesInstanceGroupManagerRequest{Project: project, Zone: zoneA, InstanceGroupManager: "ci",
		InstanceGroupManagersRecreateInstancesRequestResource: &computepb.InstanceGroupManagersRecreateInstancesRequest{Instances: []string{list[0].GetInstance()}}}))
	r.ok(r.groups.AbandonInstances(r.ctx, &computepb.AbandonInstancesInstanceGroupManagerRequest{Project: project, Zone: zoneA, InstanceGroupManager: "ci",
		InstanceGroupManagersAbandonInstancesRequestResource: &computepb.InstanceGroupManagersAbandonInstancesRequest{Instances: []string{list[1].GetInstance()}}}))
	r.want("RECREATING/STOPPING NONE/RUNNING")
	all := collect(t, r.instances.List(r.ctx, &computepb.ListInstancesRequest{Project: project, Zone: zoneA, Filter: proto.String(`name="` + list[1].GetName() + `"`)}).Next)
	if len(all) != 1 || all[0].GetId() != list[1].GetId() {
		t.Fatalf("the abandoned instance is %v", all)
	}
	truth := must(r.State(zoneA, "ci"))
	if truth.TargetSize != 2 || len(truth.Instances) != 2 || truth.Instances[0].Action != "RECREATING" {
		t.Fatalf("the truth is %v", truth)
	}
}
