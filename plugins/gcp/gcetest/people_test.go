package gcetest

import (
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

func TestPeople(t *testing.T) {
	now := newClock()
	r := newRig(t, zonal(GroupConfig{Model: slow(), TargetSize: 1, NoRepair: true, Spot: true, Autohealing: true, Verify: 40 * time.Second}, now))
	now.forward(31 * time.Second)
	name := r.want("VERIFYING/RUNNING")[0].GetName()
	now.forward(40 * time.Second)
	r.want("NONE/RUNNING")
	if err := r.SetAutoscaler(zoneA, "ci", "ON"); err != nil {
		t.Fatal(err)
	}
	g := r.good("GET", "zones/"+zoneA+"/instanceGroupManagers/ci", "")
	if g["status"].(map[string]any)["autoscaler"] == nil || len(g["autoHealingPolicies"].([]any)) != 1 {
		t.Errorf("the group is %v", g)
	}
	if err := r.SetAutoscaler(zoneA, "ci", ""); err != nil {
		t.Fatal(err)
	}
	// The group does not repair: a preempted instance stays as it is.
	if err := r.HostError(zoneA, name); err != nil {
		t.Fatal(err)
	}
	now.forward(time.Hour)
	r.want("NONE/TERMINATED")
	if err := r.Preempt(zoneA, name); err == nil {
		t.Error("an instance that is stopped was preempted")
	}
	if err := r.Patch(zoneA, "ci", &computepb.InstanceGroupManager{TargetSize: proto.Int32(0)}); err != nil {
		t.Fatal(err)
	}
	r.want("")
	if r.Created() != 1 {
		t.Errorf("%d instances were created", r.Created())
	}
	for _, err := range []error{r.Preempt(zoneA, "none"), r.StockOut("none", true), r.FailCreates(zoneA, "none"), r.Repair(zoneB, name)} {
		if err == nil {
			t.Error("something that does not exist was changed")
		}
	}
	r.SetProjectMetadata("enable-oslogin", "TRUE")
}

func TestOperationsTakeTime(t *testing.T) {
	cfg := Config{Operation: 30 * time.Millisecond, Groups: []GroupConfig{{Name: "ci", Zone: zoneA}, {Name: "ci", Region: region}}}
	r := newRig(t, cfg)
	for _, place := range []string{"zones/" + zoneA, "regions/" + region} {
		op := r.good("POST", place+"/instanceGroupManagers/ci/resize?size=1", "")
		name, _ := op["name"].(string)
		if op["status"] != "RUNNING" || op["operationType"] != "compute.instanceGroupManagers.resize" {
			t.Errorf("the operation is %v", op)
		}
		if op := r.good("POST", place+"/operations/"+name+"/wait", ""); op["status"] != "DONE" || op["endTime"] == nil {
			t.Errorf("the operation is %v", op)
		}
		if op := r.good("GET", place+"/operations/"+name, ""); op["status"] != "DONE" {
			t.Errorf("the operation is %v", op)
		}
		r.bad(404, "operations/none' was not found", "GET", place+"/operations/none", "")
	}
}

func TestConfigIsChecked(t *testing.T) {
	for want, g := range map[string]GroupConfig{
		"either a Zone or a Region": {Name: "ci"}, "no name": {Zone: zoneA}, "there is no zones/x": {Name: "ci", Zone: "x"}, "there is no image": {Name: "ci", Zone: zoneA, Image: "x"},
		"It is no zone of": {Name: "ci", Region: region, Zones: []string{"europe-west1-b"}},
	} {
		if _, err := Start(Config{Groups: []GroupConfig{g}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}
