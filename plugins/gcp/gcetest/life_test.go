package gcetest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

func TestLifeOfAGroup(t *testing.T) {
	now := newClock()
	r := newRig(t, zonal(GroupConfig{Model: slow()}, now))
	r.resize(2)
	r.want("CREATING/PROVISIONING CREATING/PROVISIONING")
	now.forward(11 * time.Second)
	r.want("CREATING/STAGING CREATING/STAGING")
	now.forward(20 * time.Second)
	list := r.want("NONE/RUNNING NONE/RUNNING")
	name := list[0].GetName()
	in := r.get(zoneA, name)
	if in.GetId() != list[0].GetId() || !strings.HasPrefix(in.GetNetworkInterfaces()[0].GetNetworkIP(), "127.115.") || !strings.HasPrefix(name, "ci-") {
		t.Fatalf("the instance is %v", in)
	}
	r.ok(r.groups.DeleteInstances(r.ctx, &computepb.DeleteInstancesInstanceGroupManagerRequest{Project: project, Zone: zoneA, InstanceGroupManager: "ci",
		InstanceGroupManagersDeleteInstancesRequestResource: &computepb.InstanceGroupManagersDeleteInstancesRequest{Instances: []string{in.GetSelfLink()}}}))
	r.want("DELETING/STOPPING NONE/RUNNING")
	if r.size() != 1 {
		t.Fatalf("the target size is %d", r.size())
	}
	now.forward(21 * time.Second)
	r.want("NONE/RUNNING")
	_, err := r.instances.Get(r.ctx, &computepb.GetInstanceRequest{Project: project, Zone: zoneA, Instance: name})
	refused(t, err, http.StatusNotFound, "notFound", "The resource 'projects/acme-ci/zones/us-central1-a/instances/"+name+"' was not found")
	r.resize(0)
	now.forward(21 * time.Second)
	r.want("")
}

func TestRequestIDs(t *testing.T) {
	now := newClock()
	r := newRig(t, zonal(GroupConfig{}, now))
	create := func(id string) (string, error) {
		op, err := r.groups.CreateInstances(r.ctx, &computepb.CreateInstancesInstanceGroupManagerRequest{Project: project, Zone: zoneA, InstanceGroupManager: "ci", RequestId: &id,
			InstanceGroupManagersCreateInstancesRequestResource: &computepb.InstanceGroupManagersCreateInstancesRequest{
				Instances: []*computepb.PerInstanceConfig{{Name: proto.String("ci-" + id[:4])}},
			}})
		if err != nil {
			return "", err
		}
		return op.Name(), nil
	}
	const one, two = "11111111-2222-4333-8444-555555555555", "21111111-2222-4333-8444-555555555555"
	a, b := must(create(one)), must(create(one))
	if a != b || r.size() != 1 {
		t.Fatalf("the operations are %s and %s, the size is %d", a, b, r.size())
	}
	if c := must(create(two)); c == a || r.size() != 2 {
		t.Fatalf("the second request was not done")
	}
	_, err := create("00000000-0000-0000-0000-000000000000")
	refused(t, err, http.StatusBadRequest, "invalid", "requestId")
}

func TestRepairKeepsTheName(t *testing.T) {
	now := newClock()
	r := newRig(t, zonal(GroupConfig{Model: slow(), TargetSize: 1}, now))
	now.forward(time.Minute)
	before := r.want("NONE/RUNNING")[0]
	if err := r.SetMetadata(zoneA, before.GetName(), "ssh-keys", "ci:ssh-rsa AAAA"); err != nil {
		t.Fatal(err)
	}
	if err := r.Repair(zoneA, before.GetName()); err != nil {
		t.Fatal(err)
	}
	r.want("RECREATING/STOPPING")
	now.forward(21 * time.Second)
	r.want("RECREATING/PROVISIONING")
	now.forward(31 * time.Second)
	after := r.want("NONE/RUNNING")[0]
	if after.GetName() != before.GetName() || after.GetId() == before.GetId() {
		t.Fatalf("%v became %v", before, after)
	}
	if keys, err := r.Metadata(zoneA, after.GetName(), "ssh-keys"); err != nil || keys != "" {
		t.Fatalf("the new instance has the keys %q of the old one, error %v", keys, err)
	}
	if err := r.DeleteInstance(zoneA, before.GetName()); err != nil {
		t.Fatal(err)
	}
	r.want("RECREATING/STOPPING")
	now.forward(21 * time.Second)
	r.want("RECREATING/PROVISIONING")
}

func TestPreemption(t *testing.T) {
	now := newClock()
	r := newRig(t, zonal(GroupConfig{Model: slow(), TargetSize: 1, Spot: true, Reaction: 5 * time.Second}, now))
	now.forward(time.Minute)
	before := r.want("NONE/RUNNING")[0]
	if err := r.Preempt(zoneA, before.GetName()); err != nil {
		t.Fatal(err)
	}
	r.want("NONE/STOPPING")
	ops := collect(t, r.ops.List(r.ctx, &computepb.ListZoneOperationsRequest{Project: project, Zone: zoneA,
		Filter: proto.String(`operationType="compute.instances.preempted"`)}).Next)
	if len(ops) != 1 || ops[0].GetTargetId() != before.GetId() {
		t.Fatalf("the operations are %v", ops)
	}
	now.forward(5 * time.Second) // the group sees it before the instance has stopped
	r.want("RECREATING/STOPPING")
	now.forward(26 * time.Second)
	r.want("RECREATING/PROVISIONING")
	now.forward(30 * time.Second)
	if after := r.want("NONE/RUNNING")[0]; after.GetId() == before.GetId() || after.GetName() != before.GetName() {
		t.Fatalf("%v became %v", before, after)
	}
}

// A group may keep the id of what it recreates.
func TestSameID(t *testing.T) {
	now := newClock()
	r := newRig(t, zonal(GroupConfig{Model: slow(), TargetSize: 1, SameID: true}, now))
	now.forward(time.Minute)
	name := r.want("NONE/RUNNING")[0].GetName()
	before := r.get(zoneA, name)
	if err := r.StopInstance(zoneA, name); err != nil {
		t.Fatal(err)
	}
	r.want("RECREATING/STOPPING")
	now.forward(time.Minute)
	after := r.get(zoneA, name)
	if after.GetStatus() != "RUNNING" || after.GetId() != before.GetId() || after.GetCreationTimestamp() != before.GetCreationTimestamp() ||
		after.GetLastStartTimestamp() == before.GetLastStartTimestamp() {
		t.Fatalf("%v became %v", before, after)
	}
}

func TestHostErrorKeepsTheID(t *testing.T) {
	now := newClock()
	r := newRig(t, zonal(GroupConfig{Model: slow(), TargetSize: 1}, now))
	now.forward(time.Minute)
	before := r.want("NONE/RUNNING")[0]
	if err := r.HostError(zoneA, before.GetName()); err != nil {
		t.Fatal(err)
	}
	r.want("NONE/REPAIRING")
	now.forward(31 * time.Second)
	if after := r.want("NONE/RUNNING")[0]; after.GetId() != before.GetId() {
		t.Fatal("the instance has another id")
	}
}
