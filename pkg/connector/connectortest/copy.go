package connectortest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// remoteDir makes a folder on the machine, and removes it at the end.
func (s *suite) remoteDir(t *testing.T) string {
	t.Helper()
	dir := fmt.Sprintf("/tmp/connector test-%d", time.Now().UnixNano())
	s.sh(t, "mkdir '"+dir+"'")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		defer cancel()
		c, err := connector.Dial(ctx, s.Target.Info, s.Target.Options)
		if err == nil {
			err = errors.Join(c.Run(ctx, connector.RunOptions{Command: "chmod -R u+rwX '" + dir + "'; rm -rf '" + dir + "'"}), c.Close())
		}
		if err != nil {
			t.Errorf("remove %s: %v", dir, err)
		}
	})
	return dir
}

// sh runs a command that must succeed, and returns its output.
func (s *suite) sh(t *testing.T, command string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if err := s.run(t, connector.RunOptions{Command: command, Stdout: &out, Stderr: &errs}); err != nil {
		t.Fatalf("%s: %v: %s", command, err, &errs)
	}
	return out.String()
}

// upload copies on a connection of its own.
func (s *suite) upload(ctx context.Context, opts connector.CopyOptions) error {
	return s.copying(ctx, opts, connector.Upload)
}

func (s *suite) download(ctx context.Context, opts connector.CopyOptions) error {
	return s.copying(ctx, opts, connector.Download)
}

func (s *suite) copying(ctx context.Context, opts connector.CopyOptions, transfer func(context.Context, connector.Client, connector.CopyOptions) error) error {
	c, err := connector.Dial(context.WithoutCancel(ctx), s.Target.Info, s.Target.Options)
	if err != nil {
		return err
	}
	return errors.Join(transfer(ctx, c, opts), c.Close())
}

func writeFile(t *testing.T, path string, content []byte, mode fs.FileMode) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, content, 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

// copyFile copies files of several sizes to the machine and back, over files that exist.
func (s *suite) copyFile(t *testing.T) {
	local, remote := t.TempDir(), s.remoteDir(t)
	for i, size := range []int{0, 1, 511, 512, 5 << 20} {
		mode := []fs.FileMode{0o640, 0o755, 0o400, 0o600, 0o644}[i]
		content := noise(size)
		from, to := filepath.Join(local, "from"), filepath.Join(local, "to")
		if s.Target.PlainCopies {
			mode = plainFile
		}
		_ = os.Remove(from)
		writeFile(t, from, content, mode)
		var last connector.CopyProgress
		opts := connector.CopyOptions{Local: from, Remote: remote + "/it's a file", Progress: func(p connector.CopyProgress) { last = p }}
		if err := s.upload(s.context(t), opts); err != nil {
			t.Fatal(err)
		}
		if last.Bytes != int64(size) || last.Entries != 1 || last.Name != "" {
			t.Errorf("%d bytes: progress at the end: %+v", size, last)
		}
		if recent := s.sh(t, "find '"+remote+"' -type f -mtime -2"); recent == "" {
			t.Error("the file has the time of long ago")
		}
		if listed := s.sh(t, "ls -l '"+remote+"'/it*"); !s.Target.PlainCopies && !strings.HasPrefix(listed, mode.String()) {
			t.Errorf("mode %v is listed as %s", mode, listed)
		}
		opts.Local = to
		if err := s.download(s.context(t), opts); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(to)
		info, err2 := os.Stat(to)
		if err != nil || err2 != nil || !bytes.Equal(got, content) || info.Mode() != mode {
			t.Errorf("%d bytes came back as %d: %v, %v", size, len(got), err, err2)
		}
		if last.Bytes != int64(size) || last.Entries != 1 {
			t.Errorf("%d bytes: progress at the end: %+v", size, last)
		}
	}
	if left := s.sh(t, "ls -A '"+remote+"'"); left != "it's a file\n" {
		t.Errorf("the folder has %q", left)
	}
}

// plainFile and plainFolder are the permissions of what comes from a machine that has none.
const (
	plainFile   = 0o644
	plainFolder = 0o755
)

// plainTree makes a folder with what can be copied to Windows.
func plainTree(t *testing.T, dir string) {
	t.Helper()
	for _, d := range []string{"", "empty", "deep", "deep/-er", "deep/-er/read-only"} {
		name := filepath.Join(dir, d)
		if err := errors.Join(os.Mkdir(name, plainFolder), os.Chmod(name, plainFolder)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"-rf", "program", ".hidden", "two words", "quote ' $HOME `id` %PATH%", "größe", "deep/-er/file", "deep/-er/read-only/file",
		strings.Repeat("long", 40), "end", "data"} {
		writeFile(t, filepath.Join(dir, name), []byte("this is "+name), plainFile)
	}
}

// tree makes a folder with everything that can be copied.
func tree(t *testing.T, dir string) {
	t.Helper()
	for _, d := range []string{"", "empty", "deep", "deep/-er", "deep/-er/read-only"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]fs.FileMode{
		"-rf": 0o644, "program": 0o755, ".hidden": 0o600, "two words": 0o644, "quote ' \" $HOME `id` \\": 0o644, "line\nfeed": 0o644, "größe": 0o640,
		"deep/-er/file": 0o444, "deep/-er/read-only/file": 0o644, strings.Repeat("long", 40): 0o644, "end": 0o644, "data": 0o644,
	} {
		writeFile(t, filepath.Join(dir, name), []byte("this is "+name), mode)
	}
	for name, to := range map[string]string{"link": "program", "dangling": "no/such file", "absolute": "/etc", "deep/up": "../.."} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"deep/-er/read-only", ""} {
		if err := os.Chmod(filepath.Join(dir, d), 0o555); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { unlock(dir) })
}

// unlock makes the folders of tree removable.
func unlock(dir string) {
	for _, d := range []string{"", "deep/-er/read-only"} {
		_ = os.Chmod(filepath.Join(dir, d), 0o755)
	}
}

// describe returns a line for each entry.
func describe(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, what := strings.TrimPrefix(path, dir), ""
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what = string(content)
		case info.Mode().Type() == fs.ModeSymlink:
			if what, err = os.Readlink(path); err != nil {
				return err
			}
		}
		_, err = fmt.Fprintf(&b, "%q %v %q\n", name, info.Mode(), what)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// copyFolder copies a folder to the machine and back: nothing is missing, and nothing is added.
func (s *suite) copyFolder(t *testing.T) {
	local, remote := t.TempDir(), s.remoteDir(t)
	from, to := filepath.Join(local, "from"), filepath.Join(local, "to")
	if s.Target.PlainCopies {
		plainTree(t, from)
	} else {
		tree(t, from)
	}
	if err := s.upload(s.context(t), connector.CopyOptions{Local: from, Remote: remote + "/copy"}); err != nil {
		t.Fatal(err)
	}
	folder, program := "dr-xr-xr-x", "-rwxr-xr-x"
	if s.Target.PlainCopies {
		folder, program = "d", "-"
	}
	if got := s.sh(t, "cd '"+remote+"' && ls -A && ls -ld copy && ls -l copy/program && cat copy/deep/-er/read-only/file"); !strings.HasPrefix(got, "copy\n"+folder) ||
		!strings.Contains(got, "\n"+program) || !strings.HasSuffix(got, "this is deep/-er/read-only/file") {
		t.Errorf("on the machine:\n%s", got)
	}
	var last connector.CopyProgress
	if err := s.download(s.context(t), connector.CopyOptions{Local: to, Remote: remote + "/copy/", Progress: func(p connector.CopyProgress) { last = p }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unlock(to) })
	want := describe(t, from)
	if got := describe(t, to); got != want {
		t.Errorf("it came back as\n%s\nwant\n%s", got, want)
	}
	if last.Entries != strings.Count(want, "\n") {
		t.Errorf("%d entries were counted, want %d", last.Entries, strings.Count(want, "\n"))
	}
	wantNoTemp(t, local)
}

func wantNoTemp(t *testing.T, dir string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(dir, ".taskscaler-*")); err != nil || len(left) > 0 {
		t.Errorf("%q is left, %v", left, err)
	}
}

// copyTarget: a target is the new name, or with a slash the folder for it. No existing folder is replaced.
func (s *suite) copyTarget(t *testing.T) {
	local, remote := t.TempDir(), s.remoteDir(t)
	writeFile(t, filepath.Join(local, "a"), []byte("a"), 0o644)
	if err := s.upload(s.context(t), connector.CopyOptions{Local: filepath.Join(local, "a"), Remote: remote + "/"}); err != nil {
		t.Error(err)
	}
	s.sh(t, "cd '"+remote+"' && mkdir keep && touch keep/mine && ln -s a link && ln -s keep folder && [ -f a ]")
	if err := os.Mkdir(filepath.Join(local, "into"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.download(s.context(t), connector.CopyOptions{Local: filepath.Join(local, "into") + "/", Remote: remote + "/link"}); err != nil {
		t.Error(err) // the symlink is followed
	}
	if got, err := os.ReadFile(filepath.Join(local, "into", "link")); string(got) != "a" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := s.download(s.context(t), connector.CopyOptions{Local: filepath.Join(local, "folder"), Remote: remote + "/folder"}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(local, "folder", "mine")); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"upload to a folder":     s.upload(s.context(t), connector.CopyOptions{Local: filepath.Join(local, "a"), Remote: remote + "/keep"}),
		"upload a folder to one": s.upload(s.context(t), connector.CopyOptions{Local: filepath.Join(local, "into"), Remote: remote + "/keep"}),
		"download to a folder":   s.download(s.context(t), connector.CopyOptions{Local: filepath.Join(local, "into"), Remote: remote + "/a"}),
	} {
		var failed *connector.CopyError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), "existing folder") || connector.FindingOf(err) != connector.FindingNone {
			t.Errorf("%s: %v, finding %v", name, err, connector.FindingOf(err))
		}
	}
	if got := s.sh(t, "cd '"+remote+"' && ls -A . keep"); got != ".:\na\nfolder\nkeep\nlink\n\nkeep:\nmine\n" {
		t.Errorf("the machine has\n%s", got)
	}
}

// copyFails: a copy that fails leaves nothing, and says what failed.
func (s *suite) copyFails(t *testing.T) {
	local, remote := t.TempDir(), s.remoteDir(t)
	s.sh(t, "cd '"+remote+"' && mkdir bad && echo x >bad/a && mkfifo bad/pipe")
	writeFile(t, filepath.Join(local, "a"), []byte("a"), 0o644)
	if err := os.Mkdir(filepath.Join(local, "odd"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(local, "odd", "a"), noise(1<<20), 0o644)
	socket, err := net.Listen("unix", filepath.Join(local, "odd", "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	for name, c := range map[string]struct {
		upload        bool
		local, remote string
		want          string
	}{
		"no such source here":     {true, "none", "x", "no such file"},
		"no such source there":    {false, "x", "none", "none"},
		"no such parent there":    {true, "a", "none/x", "no such folder"},
		"no such parent here":     {false, "none/x", "bad/a", "no such folder"},
		"neither file nor folder": {false, "x", "bad/pipe", "neither a file nor"},
		"a pipe in a folder":      {false, "x", "bad", "neither a file, nor"},
		"below a file":            {true, "a", "bad/a/x", "no such folder"},
		"a socket in a folder":    {true, "odd", "x", "neither a file, nor"},
	} {
		t.Run(name, func(t *testing.T) {
			if s.Target.PlainCopies && !c.upload && strings.HasPrefix(c.want, "neither") {
				t.Skip("a machine with Windows has no pipes in its folders")
			}
			opts := connector.CopyOptions{Local: filepath.Join(local, c.local), Remote: remote + "/" + c.remote}
			do := s.download
			if c.upload {
				do = s.upload
			}
			err := do(s.context(t), opts)
			var failed *connector.CopyError
			want := strings.ReplaceAll(c.want, "neither a file nor", "neither a file")
			if !errors.As(err, &failed) || failed.Upload != c.upload || !strings.Contains(strings.ToLower(err.Error()), want) || !strings.Contains(err.Error(), opts.Remote) {
				t.Errorf("got %v", err)
			}
			if connector.FindingOf(err) != connector.FindingNone {
				t.Errorf("it counts against the machine: %v", err)
			}
		})
	}
	wantNoTemp(t, local)
	if got := s.sh(t, "ls -A '"+remote+"'"); got != "bad\n" {
		t.Errorf("the machine has %q", got)
	}
	if list, err := os.ReadDir(local); err != nil || len(list) != 2 {
		t.Errorf("here is %v, %v", list, err)
	}
}

// copyCancelled cancels copies that would never end by themselves.
func (s *suite) copyCancelled(t *testing.T) {
	local, remote := t.TempDir(), s.remoteDir(t)
	writeFile(t, filepath.Join(local, "big"), nil, 0o644)
	if err := os.Truncate(filepath.Join(local, "big"), 1<<40); err != nil { // a sparse file
		t.Skipf("this file system has no sparse files: %v", err)
	}
	s.sh(t, "cd '"+remote+"' && dd if=/dev/zero of=big bs=1 count=1 seek=1099511627775 2>/dev/null")
	for name, do := range map[string]func(context.Context, connector.CopyOptions) error{"upload": s.upload, "download": s.download} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(s.context(t))
			defer cancel(nil)
			opts := connector.CopyOptions{Local: filepath.Join(local, "to"), Remote: remote + "/big", Progress: func(p connector.CopyProgress) {
				if p.Bytes > 1<<20 {
					cancel(errEnough)
				}
			}}
			if name == "upload" {
				opts.Local, opts.Remote = filepath.Join(local, "big"), remote+"/to"
			}
			if err := do(ctx, opts); !errors.Is(err, errEnough) || connector.FindingOf(err) != connector.FindingNone {
				t.Errorf("got %v, finding %v", err, connector.FindingOf(err))
			}
		})
	}
	wantNoTemp(t, local)
	if got := s.sh(t, "ls -A '"+remote+"'"); got != "big\n" {
		t.Errorf("the machine has %q", got)
	}
	ctx, cancel := context.WithCancelCause(s.context(t))
	cancel(errEnough)
	if err := s.download(ctx, connector.CopyOptions{Local: filepath.Join(local, "x"), Remote: remote + "/big"}); !errors.Is(err, errEnough) {
		t.Errorf("cancelled before it began: %v", err)
	}
}
