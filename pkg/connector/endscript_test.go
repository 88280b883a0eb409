//go:build unix

package connector_test

import (
	"bufio"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// TestEndScript runs the script in every installed shell. The process tree ignores TERM, and has or has not a process group of its own.
func TestEndScript(t *testing.T) {
	for _, shell := range []string{"dash", "bash", "busybox sh", "mksh"} {
		for name, group := range map[string]bool{"own group": true, "no group": false} {
			t.Run(shell+"/"+name, func(t *testing.T) {
				words := strings.Fields(shell)
				path, err := exec.LookPath(words[0])
				if err != nil {
					t.Skipf("%s is not installed; to run this test: apt-get install %s", words[0], words[0])
				}
				testEndScript(t, append([]string{path}, words[1:]...), group)
			})
		}
	}
}

func testEndScript(t *testing.T, shell []string, group bool) {
	victim := exec.Command("sh", "-c", `trap "" TERM; sleep 1000 & sh -c 'sleep 1000 & echo ready; wait'; wait`)
	victim.SysProcAttr = &syscall.SysProcAttr{Setpgid: group}
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	dead := make(chan struct{})
	go func() {
		_, _ = lines.ReadString(0) // returns when the last process has ended
		_ = victim.Wait()
		close(dead)
	}()
	script := connector.EndScript(victim.Process.Pid, 100*time.Millisecond, hang)
	// The text that sh gets, to try it in other shells that may be installed as sh.
	text := strings.TrimSuffix(strings.TrimPrefix(script, "sh -c '"), "'")
	if strings.ContainsAny(text, "'\n") {
		t.Error("the script cannot be handed over in single quotes")
	}
	if said, err := exec.Command(shell[0], append(shell[1:], "-c", text)...).CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("script: %v; it said %q", err, said)
	}
	select {
	case <-dead:
	case <-time.After(hang):
		t.Error("processes are left")
		_ = victim.Process.Kill()
	}
}
