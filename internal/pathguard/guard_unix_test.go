//go:build unix

package pathguard

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree makes folders and a file with the modes, and returns the folder above them.
func tree(t *testing.T) (top, file string) {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	chmod(t, filepath.Dir(top), 0o755)
	chmod(t, top, 0o755)
	file = filepath.Join(top, "bin", "deep", "file")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{filepath.Join(top, "bin"), filepath.Dir(file), file} {
		chmod(t, p, 0o755)
	}
	return top, file
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// faultAt fails unless the check names path, and returns the text.
func faultAt(t *testing.T, checked, path string) string {
	t.Helper()
	err := Check(checked)
	var f *Fault
	if !errors.As(err, &f) || f.Path != path {
		t.Fatalf("Check(%s) = %v, want a fault of %s", checked, err, path)
	}
	return err.Error()
}

func TestCheckOfModes(t *testing.T) {
	top, file := tree(t)
	if err := Check(file); err != nil {
		t.Fatalf("a file that only its owner may write: %v", err)
	}
	for _, p := range []string{file, filepath.Dir(file), filepath.Join(top, "bin"), top} {
		chmod(t, p, 0o757)
		said := faultAt(t, file, p)
		if !strings.Contains(said, "0757") || !strings.Contains(said, "chmod go-w "+p) || !strings.Contains(said, "every user may write") {
			t.Errorf("%s", said)
		}
		chmod(t, p, 0o755)
	}
	chmod(t, filepath.Dir(file), 0o777|fs.ModeSticky)
	if err := Check(file); err != nil {
		t.Errorf("in a folder with the sticky bit: %v", err)
	}
	chmod(t, file, 0o777|fs.ModeSticky) // on a file the bit means nothing
	faultAt(t, file, file)
}

func TestCheckOfLinks(t *testing.T) {
	top, file := tree(t)
	link := filepath.Join(top, "link")
	if err := os.Symlink("bin/../bin/deep/file", link); err != nil {
		t.Fatal(err)
	}
	if err := Check(link); err != nil {
		t.Fatalf("a link: %v", err)
	}
	chmod(t, filepath.Dir(file), 0o777)
	faultAt(t, link, filepath.Dir(file))
	chmod(t, filepath.Dir(file), 0o755)
	absolute := filepath.Join(top, "bin", "absolute")
	if err := os.Symlink(link, absolute); err != nil {
		t.Fatal(err)
	}
	chmod(t, file, 0o766)
	faultAt(t, absolute, file)
	loop := filepath.Join(top, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	if err := Check(loop); err == nil || !strings.Contains(err.Error(), loop) {
		t.Errorf("a loop: %v", err)
	}
	if err := Check(filepath.Join(top, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := Check("bin/file"); err == nil {
		t.Error("a relative path was accepted")
	}
}

// A group that consists of the user may write, any other may not.
func TestCheckOfGroups(t *testing.T) {
	me := whoAmI()
	if me.privateGroup(me.gid + 1) {
		t.Error("a group that is not the primary one is private")
	}
	unknown := identity{uid: 4000017, gid: 4000017}
	if !unknown.privateGroup(4000017) || (identity{uid: 4000016, gid: 4000017}).privateGroup(4000017) {
		t.Error("without names, the numbers of the user and the group must be the same")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: files of other users and groups")
	}
	_, file := tree(t)
	chmod(t, file, 0o775)
	if err := os.Chown(file, 0, 4000018); err != nil {
		t.Fatal(err)
	}
	if said := faultAt(t, file, file); !strings.Contains(said, "chmod g-w "+file) || !strings.Contains(said, "4000018") {
		t.Errorf("%s", said)
	}
}

// Whoever owns a file or a folder can give others every right to it.
func TestSecurityCheckOfOwners(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: files of other users")
	}
	top, file := tree(t)
	link := filepath.Join(top, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{file, filepath.Dir(file), top, link} {
		if err := os.Lchown(p, 4000017, 0); err != nil {
			t.Fatal(err)
		}
		if said := faultAt(t, link, p); !strings.Contains(said, "4000017") || !strings.Contains(said, "chown ") {
			t.Errorf("%s", said)
		}
		if err := os.Lchown(p, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := Check(link); err != nil {
		t.Error(err)
	}
	// The sticky bit keeps others from replacing what is not theirs. It does not keep the owner of the folder.
	chmod(t, filepath.Dir(file), 0o777|fs.ModeSticky)
	if err := os.Lchown(filepath.Dir(file), 4000017, 0); err != nil {
		t.Fatal(err)
	}
	chmod(t, filepath.Dir(file), 0o777|fs.ModeSticky) // a chown may clear it
	faultAt(t, file, filepath.Dir(file))
}

func TestQuote(t *testing.T) {
	for path, want := range map[string]string{"/opt/a-b.c": "/opt/a-b.c", "/a b": "'/a b'", "/it's": `'/it'\''s'`} {
		if got := quote(path); got != want {
			t.Errorf("quote(%q) = %s, want %s", path, got, want)
		}
	}
}
