package aws

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2instanceconnect"

	cloudtest "github.com/taskscaler/taskscaler/internal/cloudtest/ec2"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// operations returns the calls of the three services by their names, as IAM names them.
func operations() map[string]string {
	all := map[string]string{}
	for prefix, client := range map[string]any{"autoscaling": &autoscaling.Client{}, "ec2": &ec2.Client{}, "ec2-instance-connect": &ec2instanceconnect.Client{}} {
		of := reflect.TypeOf(client)
		for i := range of.NumMethod() {
			if m := of.Method(i); m.Type.NumOut() == 2 { // the others, such as Options, are no calls
				all[m.Name] = prefix + ":" + m.Name
			}
		}
	}
	return all
}

// called returns the actions that the files of this package call: a method of a client, or a paginator or waiter of one.
func called(t *testing.T) (list []string) {
	t.Helper()
	known := operations()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				name := strings.TrimSuffix(strings.TrimPrefix(s.Sel.Name, "New"), "Paginator")
				if action, ok := known[name]; ok {
					list = append(list, action)
				}
			}
			return true
		})
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// TestPermissionsAreThoseOfTheCode: neither a call without its permission, nor a permission without a call.
func TestPermissionsAreThoseOfTheCode(t *testing.T) {
	var listed []string
	for _, p := range Permissions() {
		listed = append(listed, p.Action)
		if p.Why == "" {
			t.Errorf("%s has no reason", p.Action)
		}
	}
	slices.Sort(listed)
	if code := called(t); !slices.Equal(listed, code) {
		t.Errorf("the permissions are\n%s\nand the code calls\n%s", strings.Join(listed, "\n"), strings.Join(code, "\n"))
	}
}

func TestPolicy(t *testing.T) {
	var p document
	if err := json.Unmarshal([]byte(Policy("eu-west-1", "123456789012", "ci")), &p); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range p.Statement {
		n += len(s.Action)
		for _, a := range s.Action {
			if (s.Resource == "*") != strings.Contains(a, ":Describe") || strings.Contains(a, "*") {
				t.Errorf("%s is allowed on %s", a, s.Resource)
			}
		}
	}
	if n != len(Permissions()) {
		t.Errorf("%d actions of %d", n, len(Permissions()))
	}
	for region, want := range map[string]string{"eu-west-1": "arn:aws:ec2", "cn-north-1": "arn:aws-cn:ec2", "us-gov-west-1": "arn:aws-us-gov:ec2", "eusc-de-east-1": "arn:aws-eusc:ec2"} {
		if !strings.Contains(Policy(region, "1", "ci"), want) {
			t.Errorf("%s lacks %s", region, want)
		}
	}
}

// TestPolicyIsEnough: with exactly this policy the whole life of a machine works, and a machine of another group cannot be touched.
func TestPolicyIsEnough(t *testing.T) {
	other := ciGroup(func(c *cloudtest.GroupConfig) { c.Name, c.Min, c.Desired = "other", 1, 1 })
	s := startCloud(t, cloudtest.Config{Policy: Policy("eu-west-1", "123456789012", "ci"), Groups: []cloudtest.GroupConfig{ciGroup(), other}})
	r := attach(t, s)
	if n, err := r.Increase(t.Context(), 1); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	id := r.running(1)[0]
	if _, err := r.ConnectInfo(t.Context(), id); err != nil {
		t.Error(err)
	}
	if err := r.Heartbeat(t.Context(), id); err != nil {
		t.Error(err)
	}
	theirs, err := s.State("other")
	if err != nil || len(theirs.Instances) == 0 {
		t.Fatal(theirs, err)
	}
	if _, err := r.machines.push(t.Context(), []string{theirs.Instances[0].ID}); provider.KindOf(err) != provider.KindConfig {
		t.Errorf("a key is pushed to the machine of another group: %v", err)
	}
	if _, err := r.ConnectInfo(t.Context(), theirs.Instances[0].ID); provider.KindOf(err) != provider.KindNotFound {
		t.Errorf("%v", err)
	}
	if _, err := r.Decrease(t.Context(), []string{theirs.Instances[0].ID}); err != nil { // it is none of this group
		t.Error(err)
	}
	if still, err := s.State("other"); err != nil || len(still.Instances) != 1 || still.Instances[0].State != "running" || still.Desired != 1 {
		t.Errorf("the machine of another group was touched: %+v, %v", still, err)
	}
	if err := classify(r.terminateOne(t.Context(), theirs.Instances[0].ID, true)); provider.KindOf(err) != provider.KindConfig {
		t.Errorf("the machine of another group is removed: %v", err)
	}
	if done, err := r.Decrease(t.Context(), []string{id}); len(done) != 1 || err != nil {
		t.Error(done, err)
	}
}
