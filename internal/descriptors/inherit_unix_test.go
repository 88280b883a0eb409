//go:build unix

package descriptors

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A child process does not get a descriptor that this process inherited.
func TestSecurityInheritedDescriptors(t *testing.T) {
	if os.Getenv("SECRET_FD") != "" {
		if err := KeepPrivate(); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("sh", "-c", "cat <&3; echo end").CombinedOutput()
		if err != nil || strings.Contains(string(out), "a secret") {
			t.Fatalf("the child reads %q, %v", out, err)
		}
		return
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := write.WriteString("a secret"); err != nil {
		t.Fatal(err)
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=TestSecurityInheritedDescriptors")
	child.Env = append(os.Environ(), "SECRET_FD=3")
	child.ExtraFiles = []*os.File{read} // 3, without close-on-exec
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if flags, err := unix.FcntlInt(read.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("what Go opens has the flags %#x, %v", flags, err)
	}
}
