package archtest

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// notInLibrary are modules that nobody gets who requires the library. What is not here and looks as if it should be is required by bbolt
// (cobra, pflag and perf, for its command) or grpc (gonum and OpenTelemetry, for its tests); no package of theirs is compiled.
var notInLibrary = []struct{ why, prefixes string }{
	{"the command line is a module of its own, cmd/taskscaler", "github.com/schollz/progressbar github.com/mitchellh/colorstring"},
	{"reports are a module of their own, pkg/simulate", "github.com/HdrHistogram github.com/santhosh-tekuri/jsonschema"},
	{"the example that needs it is a module of its own, examples/docker-autoscaler-executor", "github.com/moby github.com/docker github.com/containerd"},
	{whySDK, "github.com/aws github.com/Azure google.golang.org/api cloud.google.com/go/storage"},
	{"a store that needs more than a file is a module of its own", "go.etcd.io/etcd"},
	{"tests that need it belong into internal/test; others use internal/draw and internal/leakcheck",
		"pgregory.net/rapid go.uber.org/goleak github.com/gliderlabs github.com/jackc golang.org/x/tools/cmd"},
}

// TestLibraryGraph: who requires the library gets the modules in its graph, whether a package of theirs is compiled or not.
func TestLibraryGraph(t *testing.T) {
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Path}}", "all")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -m all: %v", err)
	}
	modules := strings.Fields(string(out))
	if !slices.Contains(modules, "go.etcd.io/bbolt") {
		t.Fatalf("this is not the library's graph: %v", modules)
	}
	for _, m := range modules {
		for _, banned := range notInLibrary {
			for _, prefix := range strings.Fields(banned.prefixes) {
				if within(m, prefix) {
					t.Errorf("go.mod brings %s into every build that uses the library: %s", m, banned.why)
				}
			}
		}
	}
}
