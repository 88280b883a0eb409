package ec2

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// quick is a model in which things take some real time, but not much.
func quick() cloudmodel.Config {
	return cloudmodel.Config{
		Boot: cloudmodel.Constant(50 * time.Millisecond), Delete: cloudmodel.Constant(50 * time.Millisecond),
		List: cloudmodel.List{Lag: cloudmodel.D(20 * time.Millisecond)},
	}
}

// run runs a program against a server, with the server's credentials and nothing else of this machine's configuration.
func run(t *testing.T, s *Server, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AWS_PAGER=", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
	}, s.Env()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestBoto3 lets an independent client, AWS's SDK for Python, drive a group through a whole life. The answers are checked against AWS's models too.
func TestBoto3(t *testing.T) {
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import boto3").Run(); err != nil {
		t.Skip("boto3 is not installed here; install it with: apt-get install python3-boto3")
	}
	s, _ := started(t, Config{Model: quick(), PageSize: 5})
	if out := run(t, s, python, "testdata/life.py", s.URL()); !strings.HasSuffix(out, "done\n") {
		t.Errorf("it ended with: %s", out)
	}
	if got := s.Instances(); len(got) != 0 {
		t.Errorf("left: %+v", got)
	}
}
