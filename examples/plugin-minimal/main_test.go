package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/providertest"
)

// script keeps each machine as a folder in $1. The group holds three.
const script = `#!/bin/sh
dir=$1; verb=$2; shift 2
case $verb in
list) for m in "$dir"/m-*; do [ -d "$m" ] && echo "${m##*/} running 127.0.0.1:22"; done; exit 0;;
create)
  n=0
  while [ $n -lt "$1" ]; do
    [ "$(ls -d "$dir"/m-* 2>/dev/null | wc -l)" -lt 3 ] || { echo "all three machines are in use" >&2; exit 69; }
    m=$(mktemp -d "$dir/m-XXXXXX") && echo "${m##*/}" || exit 1
    n=$((n+1))
  done;;
delete)
  for id; do
    rmdir "$dir/$id" 2>/dev/null
    echo "$id"
  done;;
*) echo "what is $verb?" >&2; exit 78;;
esac
`

func newGroup(t *testing.T) *Group {
	dir := t.TempDir()
	path := filepath.Join(dir, "vm.sh")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	return &Group{Name: filepath.Base(dir), Script: []string{"sh", path, dir}, Max: 3}
}

// conform runs the conformance suite on another group.
func conform(t *testing.T, open func(*testing.T) provider.InstanceGroup, reopen func(*testing.T, provider.InstanceGroup) provider.InstanceGroup) {
	t.Helper()
	providertest.Run(t, providertest.Options{New: open, Reopen: reopen})
}

func TestConformance(t *testing.T) {
	providertest.Run(t, providertest.Options{
		New: func(t *testing.T) provider.InstanceGroup { return newGroup(t) },
		Reopen: func(_ *testing.T, old provider.InstanceGroup) provider.InstanceGroup {
			g := old.(*Group)
			return &Group{Name: g.Name, Script: g.Script, Max: g.Max}
		},
	})
}

func TestKinds(t *testing.T) {
	for name, c := range map[string]struct {
		script []string
		want   provider.FailureKind
	}{
		"no script":             {nil, provider.KindConfig},
		"no such executable":    {[]string{"no-such-executable"}, provider.KindConfig},
		"it says configuration": {[]string{"sh", "-c", "echo wrong >&2; exit 78"}, provider.KindConfig},
		"it says unavailable":   {[]string{"sh", "-c", "exit 69"}, provider.KindCapacity},
		"it fails":              {[]string{"sh", "-c", "exit 1"}, provider.KindTransient},
		"it prints nonsense":    {[]string{"sh", "-c", "echo one"}, provider.KindTransient},
	} {
		t.Run(name, func(t *testing.T) {
			g := &Group{Name: "x", Script: c.script}
			_, err := g.Init(context.Background(), hclog.NewNullLogger(), provider.Settings{})
			if got := provider.KindOf(err); got != c.want {
				t.Errorf("kind %v (%v), want %v", got, err, c.want)
			}
		})
	}
}

// TestGuide checks that the Go code in docs/plugins.md is equal to the code here.
func TestGuide(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	guide, code := read("../../docs/plugins.md"), read("main.go")+read("main_test.go")+read("guide_test.go")+read("helpers_test.go")
	blocks := 0
	for _, rest := range strings.Split(guide, "```go\n")[1:] {
		block, _, _ := strings.Cut(rest, "```")
		blocks++
		if !strings.Contains(code, block) {
			t.Errorf("docs/plugins.md shows code that is not here:\n%s", block)
		}
	}
	if blocks < 2 {
		t.Errorf("docs/plugins.md shows %d pieces of code", blocks)
	}
}
