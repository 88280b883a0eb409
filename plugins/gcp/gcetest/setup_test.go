package gcetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/encoding/protojson"
)

// do sends a request below the project, or with another path, and returns the status and the answer.
func (r *rig) do(verb, path, body string) (int, map[string]any) {
	r.t.Helper()
	if !strings.HasPrefix(path, "/") {
		path = "/compute/v1/projects/" + project + "/" + path
	}
	req, err := http.NewRequestWithContext(r.ctx, verb, r.URL()+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		r.t.Fatalf("%s %s: %q", verb, path, text)
	}
	return resp.StatusCode, v
}

// good is do that must succeed.
func (r *rig) good(verb, path, body string) map[string]any {
	r.t.Helper()
	status, v := r.do(verb, path, body)
	if status != http.StatusOK {
		r.t.Fatalf("%s %s: status %d: %v", verb, path, status, v)
	}
	return v
}

// bad is do that must fail.
func (r *rig) bad(status int, message, verb, path, body string) {
	r.t.Helper()
	got, v := r.do(verb, path, body)
	text, _ := v["error"].(map[string]any)["message"].(string)
	if got != status || !strings.Contains(text, message) {
		r.t.Fatalf("%s %s: want status %d and %q, got %d: %q", verb, path, status, message, got, text)
	}
}

const (
	template = `{"name":"ci","properties":{"machineType":"e2-small","disks":[{"boot":true,"initializeParams":{"sourceImage":"projects/debian-cloud/global/images/family/debian-12",
		"diskSizeGb":"20"}}],"networkInterfaces":[{"network":"global/networks/default"}],"metadata":{"items":[{"key":"a","value":"b"}]}}}`
	groupBody = `{"name":"%s","baseInstanceName":"ci","targetSize":2,"instanceTemplate":"%s","updatePolicy":{"type":"OPPORTUNISTIC"}}`
)

// The set-up of a group, as a person does it with gcloud.
func TestSetUp(t *testing.T) {
	now := newClock()
	r := newRig(t, Config{Now: now.now, Model: slow()})
	for _, place := range []string{"global", "regions/" + region} {
		r.good("POST", place+"/instanceTemplates", template)
		r.bad(409, "The resource 'projects/acme-ci/"+place+"/instanceTemplates/ci' already exists", "POST", place+"/instanceTemplates", template)
		r.good("GET", place+"/instanceTemplates/ci", "")
		if list := r.good("GET", place+"/instanceTemplates?filter=name%3Dci", ""); len(list["items"].([]any)) != 1 {
			t.Fatalf("the templates are %v", list)
		}
	}
	op := r.good("POST", "global/firewalls", `{"name":"ssh","allowed":[{"IPProtocol":"tcp","ports":["22"]}],"sourceRanges":["10.0.0.0/8"]}`)
	name, _ := op["name"].(string)
	r.good("GET", "global/operations/"+name, "")
	r.good("POST", "global/operations/"+name+"/wait", "")
	r.good("GET", "global/operations", "")
	for _, place := range []string{"zones/" + zoneA, "regions/" + region} {
		r.setUpGroup(now, place)
	}
}

// setUpGroup makes a group, and changes it.
func (r *rig) setUpGroup(now *clock, place string) {
	r.t.Helper()
	path := place + "/instanceGroupManagers"
	r.good("POST", path, fmt.Sprintf(groupBody, "ci", "regions/"+region+"/instanceTemplates/ci"))
	r.bad(409, "already exists", "POST", path, fmt.Sprintf(groupBody, "ci", "global/instanceTemplates/ci"))
	r.bad(404, "instanceTemplates/none' was not found", "POST", path, fmt.Sprintf(groupBody, "other", "global/instanceTemplates/none"))
	r.good("GET", path, "")
	now.forward(time.Minute)
	r.good("PATCH", path+"/ci", `{"updatePolicy":{"minimalAction":"RESTART"},"listManagedInstancesResults":"PAGINATED","instanceLifecyclePolicy":{"defaultActionOnFailure":"DO_NOTHING"}}`)
	g := &computepb.InstanceGroupManager{}
	text := must(json.Marshal(r.good("GET", path+"/ci", "")))
	if err := protojson.Unmarshal(text, g); err != nil {
		r.t.Fatal(err)
	}
	p := g.GetUpdatePolicy()
	if p.GetMinimalAction() != "RESTART" || p.GetType() != "OPPORTUNISTIC" || g.GetTargetSize() != 2 || !g.GetStatus().GetIsStable() ||
		g.GetInstanceLifecyclePolicy().GetDefaultActionOnFailure() != "DO_NOTHING" {
		r.t.Fatalf("the group is %v", g)
	}
	r.bad(412, "fingerprint", "PATCH", path+"/ci", `{"fingerprint":"AAAA","targetSize":3}`)
	r.good("GET", path+"/ci/listErrors", "")
	r.good("GET", place+"/operations", "")
	if kind, _, _ := strings.Cut(place, "/"); kind == "regions" {
		if n := len(g.GetDistributionPolicy().GetZones()); n != 2 {
			r.t.Fatalf("the regional group has %d zones", n)
		}
	}
}

func TestPlaces(t *testing.T) {
	r := newRig(t, Config{Groups: []GroupConfig{
		{Name: "ci", Zone: zoneA, TargetSize: 1, Autoscaler: "ON", Image: ImageWindows}, {Name: "ci", Region: region, Autoscaler: "OFF", External: true, IPv6: true, TargetSize: 2},
	}, Metadata: map[string]string{"ssh-keys": "x:ssh-rsa AAAA"}, Now: newClock().now})
	for _, path := range []string{"", "zones", "zones/" + zoneA, "regions", "regions/" + region, "zones/" + zoneA + "/autoscalers", "zones/" + zoneA + "/autoscalers/ci",
		"regions/" + region + "/autoscalers", "regions/" + region + "/autoscalers/ci", "zones/" + zoneA + "/instances"} {
		r.good("GET", strings.TrimSuffix("/compute/v1/projects/acme-ci/"+path, "/"), "")
	}
	r.good("GET", "/compute/v1/"+ImageLinux, "")
	r.good("GET", "/compute/v1/projects/debian-cloud/global/images/family/debian-12-arm64", "")
	all := r.Instances()
	in := all[len(all)-1]
	disk := r.good("GET", "zones/"+in.Zone+"/disks/"+in.Name, "")
	if !strings.Contains(fmt.Sprint(disk["guestOsFeatures"]), "WINDOWS") {
		t.Errorf("the disk is %v", disk)
	}
	r.bad(400, "autoscaled", "POST", "zones/"+zoneA+"/instanceGroupManagers/ci/resize?size=3", "")
	scopes := r.good("GET", "aggregated/instances", "")["items"].(map[string]any)
	if len(scopes) != 5 || !strings.Contains(fmt.Sprint(scopes["zones/europe-west1-b"]), "NO_RESULTS_ON_PAGE") {
		t.Errorf("the scopes are %v", scopes)
	}
}

func TestUnknown(t *testing.T) {
	r := newRig(t, zonal(GroupConfig{}, newClock()))
	const group = "zones/" + zoneA + "/instanceGroupManagers/ci"
	r.bad(404, "has no method", "GET", "zones/"+zoneA+"/flowers", "")
	r.bad(404, "has no method", "DELETE", group+"/resize", "")
	r.bad(501, "gcetest does not have the method acceleratorTypes.list", "GET", "zones/"+zoneA+"/acceleratorTypes", "")
	r.bad(400, `Unknown name "sise"`, "POST", group+"/resize?sise=3", "")
	r.bad(400, `unknown field "colour"`, "POST", group+"/deleteInstances", `{"colour":"red"}`)
	r.bad(400, "not specified", "POST", group+"/deleteInstances", `{}`)
	r.bad(400, "size", "POST", group+"/resize?size=many", "")
	r.bad(400, "has no request body", "POST", group+"/resize?size=1", `{"size":1}`)
	r.bad(400, "not a member", "POST", group+"/deleteInstances", `{"instances":["zones/us-central1-a/instances/none"]}`)
	r.good("POST", group+"/deleteInstances", `{"instances":["zones/us-central1-a/instances/none"],"skipInstancesOnValidationError":true}`)
	r.bad(400, "Unknown zone", "GET", "zones/mars-1/instanceGroupManagers/ci", "")
	r.bad(404, "projects/acme-ci/zones/mars-1' was not found", "GET", "zones/mars-1", "")
	r.bad(404, "The resource 'projects/other' was not found", "GET", "/compute/v1/projects/other/zones", "")
	r.bad(404, "instanceGroupManagers/none' was not found", "GET", "zones/"+zoneA+"/instanceGroupManagers/none", "")
	r.bad(400, "Invalid list filter", "GET", "zones?filter=name%3D", "")
	r.bad(400, "pageToken", "GET", "zones?pageToken=x", "")
	r.bad(400, "maxResults", "GET", "zones?maxResults=501", "")
	if n := r.Calls()["instanceGroupManagers.deleteInstances"]; n != 4 {
		t.Errorf("deleteInstances was called %d times", n)
	}
}
