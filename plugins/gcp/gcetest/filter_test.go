package gcetest

import (
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

func TestFilters(t *testing.T) {
	in := &computepb.Instance{Name: proto.String("ci-ab12"), Id: proto.Uint64(77), Status: proto.String("RUNNING"), Labels: map[string]string{"team": "blue"},
		NetworkInterfaces: []*computepb.NetworkInterface{{NetworkIP: proto.String("127.1.2.3")}}, Scheduling: &computepb.Scheduling{Preemptible: proto.Bool(true)}}
	for text, want := range map[string]bool{
		"":                                    true,
		`name=ci-ab12`:                        true,
		`name = "ci-ab12"`:                    true,
		`name="ci-*"`:                         true,
		`name!=ci-ab12`:                       false,
		`name eq ci-.*`:                       true,
		`name eq ci`:                          false,
		`name ne ci-.*`:                       false,
		`name:ab`:                             true,
		`id=77`:                               true,
		`id>8`:                                true,
		`id<=76`:                              false,
		`labels.team=blue`:                    true,
		`labels.none:*`:                       false,
		`(name=x) OR (status=RUNNING)`:        true,
		`(name=ci-ab12) (status=STOPPING)`:    false,
		`name=ci-ab12 AND status=running`:     true,
		`NOT name=x`:                          true,
		`networkInterfaces.networkIP=127.1.*`: true,
		`scheduling.preemptible=true`:         true,
		`name=a OR name=b OR name=ci-ab12`:    true,
	} {
		fits, fault := parseFilter(text)
		if fault != nil || fits(in.ProtoReflect()) != want {
			t.Errorf("%q: want %v, fault %v", text, want, fault)
		}
	}
	for _, text := range []string{"name", "name=", "=x", "(name=x", "name=x)", "name eq [", "name=x OR", `name ~ x`} {
		if _, fault := parseFilter(text); fault == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}
