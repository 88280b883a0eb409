package gcetest

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// An independent client, which is built from Google's discovery document at run time.
func TestGooglesClientForPython(t *testing.T) {
	const python = "/usr/bin/python3"
	if out, err := exec.Command(python, "-c", "import googleapiclient, httplib2").CombinedOutput(); err != nil {
		t.Skipf("needs Debian's python3-googleapi: %v %s", err, out)
	}
	file, err := discoveryFile()
	if err != nil {
		t.Fatal(err)
	}
	model := cloudmodel.Config{Boot: cloudmodel.Constant(20 * time.Millisecond), Delete: cloudmodel.Constant(20 * time.Millisecond)}
	r := newRig(t, Config{Model: model, Operation: 10 * time.Millisecond, PageSize: 2})
	out, err := exec.CommandContext(t.Context(), python, "testdata/client.py", file, r.URL()).CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "done") {
		t.Fatalf("%v:\n%s", err, out)
	}
}
