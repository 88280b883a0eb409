package awssetup

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/cloudtest/ec2"
	"github.com/taskscaler/taskscaler/internal/cloudtest/machine"
	"github.com/taskscaler/taskscaler/internal/test/stage"
	"github.com/taskscaler/taskscaler/internal/test/transcript"
)

const (
	hang   = 9 * time.Minute // only a hang reaches it
	plugin = "github.com/taskscaler/taskscaler/plugins/aws/cmd/fleeting-plugin-aws"
)

// TestSetUp executes the lines of the document. The job then runs on a group about which the plugin has nothing to say, with the document's policy enforced.
func TestSetUp(t *testing.T) {
	cli, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the aws command line is not installed: apt-get install awscli")
	}
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	root, err := stage.Build(ctx, bin, plugin)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "plugins-aws.md"))
	if err != nil {
		t.Fatal(err)
	}
	steps, err := transcript.Find(string(text), "## Set-up")
	if err != nil {
		t.Fatal(err)
	}
	policy := block(t, string(text), "## Permissions\n", "json")
	cloud, park := startCloud(t, policy)
	write(t, filepath.Join(dir, "policy.json"), policy)
	write(t, filepath.Join(dir, "config.toml"), configuration(t, string(text), cloud.URL(), park.Port()))
	// Not every version of the command line reads the endpoint from the environment.
	write(t, filepath.Join(bin, "aws"), fmt.Sprintf("#!/bin/sh\nAWS_ACCESS_KEY_ID=admin AWS_SECRET_ACCESS_KEY=of-the-account exec %s --endpoint-url %s --region eu-west-1 \"$@\"\n", cli, cloud.URL()))
	if err := os.Chmod(filepath.Join(bin, "aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "bash", "-c", transcript.Script(steps))
	cmd.Dir, cmd.WaitDelay = dir, 10*time.Second
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "AWS_PAGER=", "IMAGE="+ec2.ImageLinux, "XDG_RUNTIME_DIR="+dir,
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the set-up of docs/plugins-aws.md fails: %v\n%s", err, out)
	}
	if err := transcript.Check(steps, string(out)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"could not be checked", "autoscaling", "scale-in", "level=WARN", "warning:"} {
		if _, job, _ := strings.Cut(string(out), "0 faults, 0 warnings"); strings.Contains(job, bad) {
			t.Errorf("after the set-up there is something to say (%s):\n%s", bad, job)
		}
	}
	if left := cloud.Instances(); len(left) > 0 {
		t.Errorf("instances are left: %+v", left)
	}
}

// startCloud starts an account without a group. The manager's credentials may do what the document's policy says; the administrator may do everything.
func startCloud(t *testing.T, policy string) (*ec2.Server, *machine.Park) {
	t.Helper()
	park, err := machine.Open(machine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = park.Close() })
	all := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	cloud, err := ec2.Start(ec2.Config{Machines: ec2.OnPark(park), Credentials: map[string]ec2.Credential{
		"admin":   {Secret: "of-the-account", User: "admin", Policy: all},
		"manager": {Secret: "of-the-manager", User: "manager", Policy: policy},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cloud.Close)
	return cloud, park
}

// configuration returns the document's configuration, with what leads to the stand-in.
func configuration(t *testing.T, document, url string, port int) string {
	t.Helper()
	text := block(t, document, "## Configuration\n", "toml")
	for _, change := range [][2]string{
		{`plugin_env = ["AWS_*"]`, `plugin_env = ["AWS_ACCESS_KEY_ID=manager", "AWS_SECRET_ACCESS_KEY=of-the-manager", "AWS_EC2_METADATA_DISABLED=true"]`},
		{"delete_instances_on_shutdown = false", "delete_instances_on_shutdown = true"},
		{"    [runners.autoscaler.plugin_config]\n", fmt.Sprintf("    [runners.autoscaler.connector_config]\n      protocol_port = %d\n    [runners.autoscaler.plugin_config]\n      endpoint = %q\n", port, url)},
	} {
		if !strings.Contains(text, change[0]) {
			t.Fatalf("the document's configuration has no %q", change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	return text
}

// block returns the first block of a language below a heading.
func block(t *testing.T, document, heading, language string) string {
	t.Helper()
	_, below, _ := strings.Cut(document, heading)
	_, text, found := strings.Cut(below, "```"+language+"\n")
	text, _, closed := strings.Cut(text, "```")
	if !found || !closed {
		t.Fatalf("the document has no %s below %q", language, heading)
	}
	return text
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
