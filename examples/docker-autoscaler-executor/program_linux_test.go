package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/moby/client"

	"github.com/taskscaler/taskscaler/examples/runner"
)

// TestProgram runs the real program with instances of the fake plugin, and ends it as systemd does.
func TestProgram(t *testing.T) {
	t.Parallel()
	engine := sharedDockerd(t)
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin+"/", ".", "github.com/taskscaler/taskscaler/plugins/fake/cmd/fleeting-plugin-fake")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program and the plugin: %v\n%s", err, out)
	}
	cmd := exec.Command(bin+"/docker-autoscaler-executor", "-socket", engine.socket(), "-image", busyboxImage, "-pull-policy", never, "-")
	cmd.Stdin = strings.NewReader(`{"id": "program-test", "script": ["echo on", "sleep 600 & sleep 600"]}`)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || line != "on\n" {
		t.Errorf("stdout %q, %v", line, err)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_, _ = io.Copy(io.Discard, lines)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != runner.ExitCancelled || !strings.Contains(stderr.String(), "the job was cancelled: terminated") {
		t.Errorf("exit code %d\n%s", code, &stderr)
	}
	filters := make(client.Filters).Add("label", fmt.Sprintf("%s=program-test", jobLabel))
	left, err := engine.client.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: filters})
	if err != nil || len(left.Items) > 0 {
		t.Errorf("containers that are left: %v, %v", left.Items, err)
	}
}
