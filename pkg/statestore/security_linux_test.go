package statestore_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/statestore"
)

const holdDir = "STATESTORE_HOLD_DIR"

// holdChild is a process that has a state open until its input ends.
func holdChild() {
	dir := os.Getenv(holdDir)
	if dir == "" {
		return
	}
	_, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
	fmt.Println("opened:", err)
	_, _ = os.Stdin.Read(make([]byte, 1))
	os.Exit(0)
}

// hold starts a process that has the state in dir open, until the test ends.
func hold(t *testing.T, dir string, as *syscall.SysProcAttr) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if as != nil { // go test builds into a private directory
		if exe = filepath.Join(filepath.Dir(filepath.Dir(dir)), "child"); exec.Command("cp", os.Args[0], exe).Run() != nil {
			t.Fatal("the test binary cannot be copied")
		}
	}
	cmd := exec.Command(exe, "-test.run=^$")
	cmd.Env, cmd.SysProcAttr = append(os.Environ(), holdDir+"="+dir), as
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(in.Close(), cmd.Wait()) })
	lines := bufio.NewScanner(out)
	if lines.Scan(); lines.Text() != "opened: <nil>" {
		t.Fatalf("the other process: %q", lines.Text())
	}
	return cmd
}

// heldBy fails unless opening dir is refused with the name of the process.
func heldBy(t *testing.T, what, dir string, cmd *exec.Cmd) *statestore.LockedError {
	t.Helper()
	second, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
	if second != nil {
		_ = second.Close()
	}
	var locked *statestore.LockedError
	if !errors.As(err, &locked) || locked.Owner.PID != cmd.Process.Pid || locked.Owner.Command == "" || locked.Owner.Start.IsZero() {
		t.Fatalf("%s: %v", what, err)
	}
	return locked
}

// TestSecurityOneManagerByEveryPath: whatever happens to the files of a running manager, and by whatever path a second one comes, it is refused
// with the name of the first.
func TestSecurityOneManagerByEveryPath(t *testing.T) {
	base := t.TempDir()
	dir := base + "/group"
	first := hold(t, dir, nil)
	heldBy(t, "the same path", dir, first)
	if err := os.Symlink(dir, base+"/link"); err != nil {
		t.Fatal(err)
	}
	heldBy(t, "through a link", base+"/link", first)
	makeDir(t, base+"/hard", 0o700)
	if err := os.Link(dir+"/state.db", base+"/hard/state.db"); err != nil {
		t.Fatal(err)
	}
	if by := heldBy(t, "through a hard link", base+"/hard", first); by.Path != dir+"/state.db" || !strings.Contains(by.Error(), by.Path) {
		t.Errorf("the path of the first manager is missing: %v", by)
	}
	earlier := `{"pid":1,"command":"taskscaler run","host":"here","start":"2026-01-02T03:04:05Z"}`
	if err := os.WriteFile(base+"/hard/owner.json", []byte(earlier), 0o600); err != nil {
		t.Fatal(err)
	}
	heldBy(t, "through a hard link, beside the name of an earlier manager", base+"/hard", first)
	if err := os.Rename(dir, base+"/moved"); err != nil {
		t.Fatal(err)
	}
	heldBy(t, "the directory was moved, at its new place", base+"/moved", first)
	heldBy(t, "the directory was moved, at its old place", dir, first)
	makeDir(t, dir, 0o700)
	heldBy(t, "another directory is at its old place, through a link", base+"/link", first)
	if err := os.RemoveAll(base + "/moved"); err != nil {
		t.Fatal(err)
	}
	heldBy(t, "the directory was removed", dir, first)
	_ = first.Process.Kill()
	_ = first.Wait()
	_ = openBolt(t, dir).Close()
}

// TestSecurityBindMount needs root.
func TestSecurityBindMount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts a directory in a second place")
	}
	base := t.TempDir()
	first := hold(t, base+"/group", nil)
	makeDir(t, base+"/mounted", 0o700)
	if err := syscall.Mount(base+"/group", base+"/mounted", "", syscall.MS_BIND, ""); err != nil {
		t.Skip("needs the right to mount: ", err)
	}
	defer func() { _ = syscall.Unmount(base+"/mounted", syscall.MNT_DETACH) }()
	heldBy(t, "through a bind mount", base+"/mounted", first)
}

// TestSecurityNameIsTaken: a process of another user that takes the name of the lock does not prevent the start, and is named. It needs root.
func TestSecurityNameIsTaken(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it starts a process of another user")
	}
	base := t.TempDir()
	makeDir(t, base, 0o755)
	makeDir(t, filepath.Dir(base), 0o755)
	dir := base + "/home/group"
	makeDir(t, base+"/home", 0o777|os.ModeSticky)
	other := hold(t, dir, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	b := openBolt(t, dir)
	if !slices.ContainsFunc(b.Warnings(), func(w string) bool {
		return strings.Contains(w, fmt.Sprintf("process %d of user 65534 holds its name", other.Process.Pid))
	}) {
		t.Errorf("warnings: %q", b.Warnings())
	}
}

// TestSecurityPlaces: a place where every user can replace the state is refused, one where a group can is a warning.
func TestSecurityPlaces(t *testing.T) {
	for name, c := range map[string]struct {
		above, dir os.FileMode
		foreign    string // this directory belongs to another user
		refused    string
		warned     string
	}{
		"private":                                      {above: 0o700, dir: 0o700},
		"as usual":                                     {above: 0o755, dir: 0o700},
		"sticky":                                       {above: 0o777 | os.ModeSticky, dir: 0o700},
		"written by everyone":                          {above: 0o777, dir: 0o700, refused: "chmod go-w"},
		"written by the group":                         {above: 0o770, dir: 0o700, warned: "chmod g-w"},
		"the directory is readable":                    {above: 0o755, dir: 0o755},
		"the directory can be written":                 {above: 0o755, dir: 0o777, refused: "chmod 700"},
		"the group can write to the directory":         {above: 0o755, dir: 0o770, refused: "chmod 700"},
		"the one above is another user's":              {above: 0o755, dir: 0o700, foreign: "above", warned: "chown"},
		"the directory is another user's":              {above: 0o755, dir: 0o700, foreign: "above/group", refused: "chown -R"},
		"a directory that another user made before us": {above: 0o777 | os.ModeSticky, dir: 0o700, foreign: "above/squat", refused: "chown"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.foreign != "" && os.Geteuid() != 0 {
				t.Skip("needs root: it gives a directory to another user")
			}
			base := t.TempDir()
			dir := base + "/above/group"
			if strings.HasSuffix(c.foreign, "squat") {
				dir = base + "/above/squat/group"
			}
			_ = openBolt(t, dir).Close()
			if c.foreign != "" {
				if err := os.Chown(filepath.Join(base, c.foreign), 65534, -1); err != nil {
					t.Fatal(err)
				}
			}
			if c.warned == "chmod g-w" { // not a private group
				_ = os.Chown(base+"/above", -1, 65533)
				if os.Geteuid() != 0 {
					t.Skip("needs root: it gives a directory to another group")
				}
			}
			if err := errors.Join(os.Chmod(base+"/above", c.above), os.Chmod(dir, c.dir)); err != nil {
				t.Fatal(err)
			}
			b, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("refused: %v, want %q", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			ours := slices.DeleteFunc(b.Warnings(), func(w string) bool { return !strings.Contains(w, base) }) // not those of $TMPDIR
			if all := strings.Join(ours, "; "); c.warned == "" && all != "" || !strings.Contains(all, c.warned) {
				t.Errorf("warned: %q, want %q", all, c.warned)
			}
		})
	}
}

// TestSecurityTargetOfALink: a state directory that is a link is judged by the place where it leads, too.
func TestSecurityTargetOfALink(t *testing.T) {
	base := t.TempDir()
	dir := base + "/open/group"
	_ = openBolt(t, dir).Close()
	link := base + "/link"
	if err := errors.Join(os.Symlink(dir, link), os.Chmod(base+"/open", 0o777)); err != nil {
		t.Fatal(err)
	}
	if _, err := statestore.OpenBolt(link, statestore.BoltOptions{}); err == nil || !strings.Contains(err.Error(), "chmod go-w "+base+"/open") {
		t.Error(err)
	}
}

// TestSecurityFileOfAnotherUser needs root.
func TestSecurityFileOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it gives a file to another user")
	}
	dir := t.TempDir() + "/group"
	_ = openBolt(t, dir).Close()
	if err := os.Chown(dir+"/state.db", 65534, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := statestore.OpenBolt(dir, statestore.BoltOptions{}); err == nil || !strings.Contains(err.Error(), "belongs to user 65534") {
		t.Error(err)
	}
}
