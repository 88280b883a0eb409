package pluginkit_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
)

func TestNames(t *testing.T) {
	legal := regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`) // RFC 1035
	for _, n := range []pluginkit.Names{{Prefix: "ci"}, {Prefix: "c", Max: 15}, {Prefix: "team-a-2"}, {Prefix: strings.Repeat("x", 52)}} {
		if err := n.Check(); err != nil {
			t.Errorf("%+v: %v", n, err)
		}
		seen := map[string]bool{}
		for range 1000 {
			name := n.New()
			if !legal.MatchString(name) || len(name) > 63 || n.Max > 0 && len(name) > n.Max || seen[name] || !n.Owns(name) {
				t.Fatalf("%+v made %q", n, name)
			}
			seen[name] = true
		}
	}
	for _, n := range []pluginkit.Names{
		{}, {Prefix: "CI"}, {Prefix: "1ci"}, {Prefix: "-ci"}, {Prefix: "ci-"}, {Prefix: "c i"}, {Prefix: "cé"}, {Prefix: "a.b"}, {Prefix: "a_b"},
		{Prefix: strings.Repeat("x", 53)}, {Prefix: "abcde", Max: 15}, {Prefix: "a", Max: 11}, {Prefix: "ı"},
	} {
		if n.Check() == nil {
			t.Errorf("%+v can be used", n)
		}
	}
	n := pluginkit.Names{Prefix: "ci"}
	for _, others := range []string{"", "ci", "ci-", "ci-web", "ci-abcdefghi", "ci-abcdefghijk", "ci-abcdefghi1", "ci-ABCDEFGHIJ", "xci-abcdefghij", "ci-b-abcdefghij"} {
		if n.Owns(others) {
			t.Errorf("%q is taken for one of the group", others)
		}
	}
	if (pluginkit.Names{}).Owns("-abcdefghij") {
		t.Error("without a prefix, everything is owned")
	}
}

func TestLabels(t *testing.T) {
	l, err := pluginkit.GroupLabels("ci-linux")
	if err != nil {
		t.Fatal(err)
	}
	all, err := l.With(map[string]string{"team": "a", pluginkit.LabelGroup: "ci-linux"})
	if err != nil || len(all) != 3 || !l.Own(all) || len(l) != 2 {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := l.With(map[string]string{pluginkit.LabelGroup: "other"}); err == nil || !strings.Contains(err.Error(), pluginkit.LabelGroup) {
		t.Errorf("the operator changed the mark of the group: %v", err)
	}
	if got, want := l.Selector(), "managed-by=taskscaler,taskscaler-group=ci-linux"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	other, err := pluginkit.GroupLabels("ci")
	if err != nil {
		t.Fatal(err)
	}
	for _, machine := range []map[string]string{nil, {}, {"team": "a"}, {pluginkit.LabelGroup: "ci-linux"}, other, {pluginkit.LabelManagedBy: "taskscaler", pluginkit.LabelGroup: ""}} {
		if l.Own(machine) {
			t.Errorf("a machine with %v is taken for one of the group", machine)
		}
	}
	if (pluginkit.Labels{}).Own(all) {
		t.Error("no labels own a machine")
	}
	for _, group := range []string{"", "-a", "a-", "_", "A", "a b", "a/b", "é", strings.Repeat("x", 64)} {
		if _, err := pluginkit.GroupLabels(group); err == nil {
			t.Errorf("%q can be used", group)
		}
	}
}

func ExampleNames() {
	names := pluginkit.Names{Prefix: "ci-linux"}
	if err := names.Check(); err != nil {
		fmt.Println("name", err)
		return
	}
	name := names.New()
	fmt.Println(len(name), names.Owns(name), names.Owns("ci-linux-web"))
	// Output: 19 true false
}
