package connector_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// TestSshdCopyWithoutWorkingSFTP: the server names a program for SFTP that is not there, or allows one session for each connection.
func TestSshdCopyWithoutWorkingSFTP(t *testing.T) {
	for name, options := range map[string][]string{
		"no subsystem": nil, "no program": {"Subsystem sftp /no/such/sftp-server"}, "one session": {"MaxSessions 1"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := connector.Dial(t.Context(), startSSHD(t, options...).info, quick(connector.DialOptions{}))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			dir := t.TempDir()
			from := write(t, filepath.Join(dir, "from"), []byte("content"))
			for _, to := range []string{"one", "two"} { // the second time, SFTP is not asked for
				if err := connector.Upload(t.Context(), c, connector.CopyOptions{Local: from, Remote: filepath.Join(dir, to)}); err != nil {
					t.Fatal(err)
				}
				if got, err := os.ReadFile(filepath.Join(dir, to)); string(got) != "content" || err != nil {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
}

// TestSshdCopyRelativePaths: they start at the home of the remote user, as ~/ does.
func TestSshdCopyRelativePaths(t *testing.T) {
	for name, option := range map[string]string{"sftp": "Subsystem sftp internal-sftp", "tar": "MaxSessions 2"} {
		t.Run(name, func(t *testing.T) {
			s := startSSHD(t, option)
			if _, err := tryOtherHome(t, s); err != nil {
				t.Skipf("the home of this user must not be written to: %v", err)
			}
			c, err := connector.Dial(t.Context(), s.info, quick(connector.DialOptions{}))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			from := write(t, filepath.Join(t.TempDir(), "from"), []byte("content"))
			for _, remote := range []string{"plain", "-x", "~/home"} {
				if err := connector.Upload(t.Context(), c, connector.CopyOptions{Local: from, Remote: remote}); err != nil {
					t.Errorf("%s: %v", remote, err)
				}
				if _, err := os.Stat(filepath.Join(s.dir, strings.TrimPrefix(remote, "~/"))); err != nil {
					t.Error(err)
				}
				to := filepath.Join(t.TempDir(), "to")
				if err := connector.Download(t.Context(), c, connector.CopyOptions{Local: to, Remote: remote}); err != nil {
					t.Errorf("%s: %v", remote, err)
				}
			}
			for _, remote := range []string{"", ".", "..", "a/..", "~"} {
				var failed *connector.CopyError
				if err := connector.Upload(t.Context(), c, connector.CopyOptions{Local: from, Remote: remote}); !errors.As(err, &failed) {
					t.Errorf("target %q: %v", remote, err)
				}
			}
		})
	}
}

// TestSshdDiesDuringACopy: the copy fails because of the connection, and leaves nothing here.
func TestSshdDiesDuringACopy(t *testing.T) {
	for name, option := range map[string]string{"sftp": "Subsystem sftp internal-sftp", "tar": "MaxSessions 2"} {
		for _, upload := range []bool{true, false} {
			t.Run(name+map[bool]string{true: " upload", false: " download"}[upload], func(t *testing.T) {
				c, err := connector.Dial(t.Context(), startSSHD(t, option).info, quick(connector.DialOptions{}))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = c.Close() }()
				pid := servingPID(t, c)
				here, there := t.TempDir(), t.TempDir()
				from, do := there, connector.Download
				if upload {
					from, do = here, connector.Upload
				}
				write(t, filepath.Join(from, "f"), nil)
				if err := os.Truncate(filepath.Join(from, "f"), 1<<40); err != nil {
					t.Skipf("this file system has no sparse files: %v", err)
				}
				opts := connector.CopyOptions{Local: here + "/f", Remote: there + "/f", Progress: func(p connector.CopyProgress) {
					if p.Bytes > 1<<20 {
						_ = syscall.Kill(pid, syscall.SIGKILL)
					}
				}}
				err = do(t.Context(), c, opts)
				var lost *connector.LostError
				if !errors.As(err, &lost) || connector.FindingOf(err) != connector.FindingUnusable || !strings.Contains(err.Error(), "connection lost during the copy") {
					t.Errorf("got %v, finding %v", err, connector.FindingOf(err))
				}
				if _, err := os.Stat(filepath.Join(map[bool]string{true: there, false: here}[upload], "f")); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("a target is there: %v", err)
				}
				if left, _ := filepath.Glob(filepath.Join(here, ".taskscaler-*")); len(left) > 0 {
					t.Errorf("%q is left", left)
				}
			})
		}
	}
}

// sends is a client whose commands print what a hostile machine would.
type sends struct {
	connector.Client
	archive []byte
	err     error
}

func (s sends) Run(_ context.Context, opts connector.RunOptions) error {
	if _, err := io.Copy(opts.Stdout, bytes.NewReader(s.archive)); err != nil {
		return &connector.CancelError{Cause: err, Ended: true, Sent: true}
	}
	return s.err
}

func archive(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag != tar.TypeXGlobalHeader {
			h.Mode = 0o777
		}
		if h.Typeflag == tar.TypeReg {
			h.Size = 4
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte("evil")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestDownloadFromAHostileMachine: whatever it sends, nothing outside of the target is written, and no part of it looks whole.
func TestDownloadFromAHostileMachine(t *testing.T) {
	folder := tar.Header{Name: "./", Typeflag: tar.TypeDir}
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg} }
	outside := filepath.Join(t.TempDir(), "outside")
	whole := archive(t, folder, file("./a"), file("./b"))
	for name, c := range map[string]sends{
		"up":                  {archive: archive(t, folder, file("../outside"))},
		"up, further down":    {archive: archive(t, folder, file("./a/../../outside"))},
		"absolute":            {archive: archive(t, folder, file(outside))},
		"through a symlink":   {archive: archive(t, folder, tar.Header{Name: "./l", Typeflag: tar.TypeSymlink, Linkname: filepath.Dir(outside)}, file("./l/outside"))},
		"over a symlink":      {archive: archive(t, folder, tar.Header{Name: "./l", Typeflag: tar.TypeSymlink, Linkname: outside}, file("./l"))},
		"a hard link outside": {archive: archive(t, folder, tar.Header{Name: "./l", Typeflag: tar.TypeLink, Linkname: "../../etc/passwd"})},
		"a device":            {archive: archive(t, folder, tar.Header{Name: "./l", Typeflag: tar.TypeChar})},
		"two files as one":    {archive: archive(t, file("./a"), file("./b"))},
		"a second root":       {archive: archive(t, folder, folder)},
		"a global header":     {archive: archive(t, tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}})},
		"nothing":             {},
		"no archive":          {archive: bytes.Repeat([]byte("noise"), 1000)},
		"cut off in a file":   {archive: whole[:512*3+2]},
		"an error at the end": {archive: whole, err: connector.NewExitError(1, "")},
		"lost at the end":     {archive: whole, err: &connector.LostError{Started: true, Sent: true, Err: io.EOF}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "here")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			err := connector.Download(t.Context(), c, connector.CopyOptions{Local: filepath.Join(dir, "to"), Remote: "/x"})
			var failed *connector.CopyError
			if !errors.As(err, &failed) {
				t.Errorf("got %v", err)
			}
			for _, p := range []string{outside, filepath.Join(filepath.Dir(dir), "outside"), filepath.Join(dir, "outside")} {
				if _, err := os.Lstat(p); err == nil {
					t.Errorf("%s was written", p)
				}
			}
			if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
				t.Errorf("left: %v, %v", list, err)
			}
		})
	}
	to := filepath.Join(t.TempDir(), "to")
	good := archive(t, folder, file("./a"), tar.Header{Name: "./b", Typeflag: tar.TypeLink, Linkname: "./a"})
	if err := connector.Download(t.Context(), sends{archive: good}, connector.CopyOptions{Local: to, Remote: "/x"}); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(filepath.Join(to, "b")); string(got) != "evil" || err != nil {
		t.Errorf("the other name of a file: %q, %v", got, err)
	}
}

// TestSshdTunnelErrors: a target that refuses says nothing about the connection, and a lost connection is a LostError.
func TestSshdTunnelErrors(t *testing.T) {
	c, err := connector.Dial(t.Context(), startSSHD(t).info, quick(connector.DialOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	nothing := filepath.Join(t.TempDir(), "nothing")
	var lost *connector.LostError
	if _, err := c.Dial(t.Context(), "unix", nothing); err == nil || errors.As(err, &lost) {
		t.Errorf("nobody listens: %v", err)
	}
	if err := syscall.Kill(servingPID(t, c), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for !errors.As(err, &lost) && t.Context().Err() == nil { // until the end of the connection has arrived
		_, err = c.Dial(t.Context(), "unix", nothing)
	}
	if !strings.Contains(err.Error(), "connection lost before the tunnel was open") {
		t.Errorf("got %v", err)
	}
}

// failing runs no command: each one fails, as on a machine that kills it.
type failing struct {
	connector.Client
	ran []string
}

func (f *failing) Run(_ context.Context, opts connector.RunOptions) error {
	f.ran = append(f.ran, opts.Command)
	return connector.NewExitError(137, "KILL")
}

// fails is a client whose commands print something, and then fail as tar does.
type fails struct {
	sends
	words string
}

func (f fails) Run(ctx context.Context, opts connector.RunOptions) error {
	if _, err := io.WriteString(opts.Stderr, f.words); err != nil {
		return err
	}
	return f.sends.Run(ctx, opts)
}

// TestDownloadThatTarRefuses: tar writes an empty archive, or a part of one, and says on its standard error why.
func TestDownloadThatTarRefuses(t *testing.T) {
	const words = "tar: ./shadow: Cannot open: Permission denied"
	whole := archive(t, tar.Header{Name: "./shadow", Typeflag: tar.TypeReg})
	for name, sent := range map[string][]byte{"nothing": nil, "an empty archive": archive(t), "half a header": whole[:200]} {
		c := fails{sends{archive: sent, err: connector.NewExitError(2, "")}, words}
		err := connector.Download(t.Context(), c, connector.CopyOptions{Remote: "/etc/shadow", Local: filepath.Join(t.TempDir(), "to")})
		var exit *connector.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCheckDownload: what this machine will refuse is known before the download, and the check leaves nothing.
func TestCheckDownload(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), []byte("content"))
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for local, want := range map[string]string{
		"new": "", "file": "", "folder/": "", "folder/new": "", "folder": "existing folder", "none/new": "no such folder", "file/new": "no such folder", ".": "existing folder",
	} {
		err := connector.CheckDownload(t.Context(), connector.CopyOptions{Remote: "/from", Local: dir + "/" + local})
		var failed *connector.CopyError
		if want == "" && err != nil || want != "" && (!errors.As(err, &failed) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", local, err)
		}
	}
	var names []string
	for _, d := range []string{dir, filepath.Join(dir, "folder")} {
		entries, err := os.ReadDir(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	if !slices.Equal(names, []string{"file", "folder"}) {
		t.Errorf("afterwards there are %q", names)
	}
}

// TestFailedUploadRemovesItsFolder: the command that unpacks was killed, so it could not do it itself.
func TestFailedUploadRemovesItsFolder(t *testing.T) {
	for name, ended := range map[string]bool{"it fails": false, "it is interrupted": true} {
		ctx, cancel := context.WithCancel(t.Context())
		c := &failing{}
		from := write(t, filepath.Join(t.TempDir(), "from"), []byte("content"))
		err := connector.Upload(ctx, cancelling{c, ended, cancel}, connector.CopyOptions{Local: from, Remote: "/there/to"})
		cancel()
		if err == nil || len(c.ran) != 2 {
			t.Fatalf("%s: %v, ran %q", name, err, c.ran)
		}
		_, folder, _ := strings.Cut(c.ran[0], "/there/.taskscaler-")
		folder, _, _ = strings.Cut(folder, "'")
		if folder == "" || !strings.Contains(c.ran[1], "rm -rf") || !strings.HasSuffix(c.ran[1], " '/there/.taskscaler-"+folder+"'") {
			t.Errorf("%s: ran %q", name, c.ran)
		}
	}
}

// cancelling cancels the copy during the first command, if told so. It refuses a command of a context that has ended, as every Client does.
type cancelling struct {
	*failing
	first  bool
	cancel context.CancelFunc
}

func (c cancelling) Run(ctx context.Context, opts connector.RunOptions) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.first && len(c.ran) == 0 {
		c.cancel()
	}
	return c.failing.Run(ctx, opts)
}

// TestSshdUploadOfAFileWithoutASize: a file of /proc says that it is empty.
func TestSshdUploadOfAFileWithoutASize(t *testing.T) {
	const from = "/proc/version"
	want, err := os.ReadFile(from)
	if err != nil {
		t.Skipf("this system has no %s: %v", from, err)
	}
	c, err := connector.Dial(t.Context(), startSSHD(t).info, quick(connector.DialOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	to := filepath.Join(t.TempDir(), "to")
	if err := connector.Upload(t.Context(), c, connector.CopyOptions{Local: from, Remote: to}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(to); !bytes.Equal(got, want) || err != nil {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
