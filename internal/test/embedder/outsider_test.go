package embedder

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOutsider runs the tests of a module that is not part of this repository's workspace. It embeds the library, writes a store, restarts
// under a job and drives a simulation. An import of an internal package would not compile there.
func TestOutsider(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: testdata/outsider is a module of its own and compiles the library once more; go test ./internal/test/embedder runs it")
	}
	dir := filepath.Join("testdata", "outsider")
	cmd := exec.CommandContext(t.Context(), "go", "test", "./...")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	internal := regexp.MustCompile(`"github.com/taskscaler/taskscaler/[^"]*\binternal/`)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if at := internal.FindString(string(text)); at != "" {
			t.Errorf("%s imports %s", name, strings.Trim(at, `"`))
		}
	}
}
