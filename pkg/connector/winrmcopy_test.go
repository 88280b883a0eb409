package connector_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// TestWinRMCopies: contents of all lengths and names of all kinds go there and come back, whatever shell runs the other commands.
func TestWinRMCopies(t *testing.T) {
	s := startWinRM(t, "--sealed-only")
	for _, shell := range []connector.WinRMShell{connector.WinRMCmd, connector.WinRMPowerShell} {
		t.Run(string(shell), func(t *testing.T) {
			c := dial(t, s.info, connector.DialOptions{WinRM: connector.WinRMOptions{Shell: shell}})
			dir := t.TempDir()
			from := filepath.Join(dir, "from")
			if err := os.MkdirAll(filepath.Join(from, "it's $(a) folder", "ordner für €"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(from, "empty"), 0o755); err != nil {
				t.Fatal(err)
			}
			random := rand.NewChaCha8([32]byte{})
			want := map[string][]byte{}
			for name, size := range map[string]int{
				"nothing": 0, "one": 1, "two": 2, "three": 3, "it's $(a) folder/%PATH% & `q` ^;": 300, "it's $(a) folder/ordner für €/日本 😀.txt": 301, "-begin": 302,
				"a line": 30 << 10, "a line and a byte": 30<<10 + 1, "data": 60 << 10, "end": 96<<10 + 1, "big": 3<<20 + 7, "a  b": 5,
			} {
				content := make([]byte, size)
				_, _ = random.Read(content)
				want[name] = content
				write(t, filepath.Join(from, name), content)
			}
			var last connector.CopyProgress
			progress := func(p connector.CopyProgress) { last = p }
			remote := filepath.Join(t.TempDir(), "été 'x'")
			if err := connector.Upload(t.Context(), c, connector.CopyOptions{Local: from, Remote: remote, Progress: progress}); err != nil {
				t.Fatal(err)
			}
			up := last
			to := filepath.Join(dir, "to")
			if err := connector.Download(t.Context(), c, connector.CopyOptions{Local: to, Remote: strings.ReplaceAll(remote, "/", `\`), Progress: progress}); err != nil {
				t.Fatal(err)
			}
			for _, p := range []connector.CopyProgress{up, last} {
				if p.Entries != len(want)+4 || p.Bytes != total(want) {
					t.Errorf("progress at the end: %+v, want %d entries and %d bytes", p, len(want)+4, total(want))
				}
			}
			for _, p := range []string{remote, to} {
				checkTree(t, p, want)
			}
			checkOnly(t, filepath.Dir(remote), filepath.Base(remote))
			checkOnly(t, dir, "from", "to")
		})
	}
}

func total(files map[string][]byte) (n int64) {
	for _, content := range files {
		n += int64(len(content))
	}
	return n
}

// checkTree checks the files below a folder, and that there are no others.
func checkTree(t *testing.T, dir string, want map[string][]byte) {
	t.Helper()
	for name, content := range want {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s in %s: %d bytes, want %d; %v", name, dir, len(got), len(content), err)
		}
	}
	n := 0
	if err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	}); err != nil || n != len(want) {
		t.Errorf("%s has %d files, want %d; %v", dir, n, len(want), err)
	}
	if info, err := os.Stat(filepath.Join(dir, "empty")); err != nil || !info.IsDir() {
		t.Errorf("the empty folder: %v", err)
	}
}

// checkOnly checks the names in a folder.
func checkOnly(t *testing.T, dir string, want ...string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list {
		got = append(got, e.Name())
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("%s has %q, want %q", dir, got, want)
	}
}

// TestWinRMCopyTargets: where copies go, and what they do with what is there.
func TestWinRMCopyTargets(t *testing.T) {
	s := startWinRM(t)
	c := dial(t, s.info, connector.DialOptions{})
	local, remote := t.TempDir(), t.TempDir()
	from := write(t, filepath.Join(local, "from"), []byte("new"))
	write(t, filepath.Join(remote, "file"), []byte("a file with an old content"))
	if err := os.MkdirAll(filepath.Join(remote, "folder", "mine"), 0o755); err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{remote + "/file": remote + "/file", remote + `\`: remote + "/from", "relative": s.shell.home + "/relative",
		`~\home`: s.shell.home + "/home", "-x": s.shell.home + "/-x", remote + "/folder/../up": remote + "/up"} {
		if err := connector.Upload(t.Context(), c, connector.CopyOptions{Local: from, Remote: to}); err != nil {
			t.Errorf("%s: %v", to, err)
			continue
		}
		if got, err := os.ReadFile(want); string(got) != "new" || err != nil {
			t.Errorf("%s: %q, %v", to, got, err)
		}
		if strings.HasSuffix(to, `\`) {
			to += "from"
		}
		here := t.TempDir()
		if err := connector.Download(t.Context(), c, connector.CopyOptions{Local: here + "/", Remote: to}); err != nil {
			t.Errorf("%s: %v", to, err)
		}
		if got, err := os.ReadFile(filepath.Join(here, filepath.Base(want))); string(got) != "new" || err != nil {
			t.Errorf("%s came back as %q, %v", to, got, err)
		}
	}
	for to, want := range map[string]string{
		remote + "/folder": "existing folder, which is not replaced", remote + "/none/x": "no such folder", remote + "/file/x": "no such folder",
		`\\server\share\x`: "network share", "C:x": "slash after the colon", "C:/": "no file or folder of Windows", "": "empty", ".": "no name", remote + "/nul.txt": "nul.txt", "a:b": "a:b",
	} {
		opts := connector.CopyOptions{Local: from, Remote: to}
		if to == "C:/" { // the name comes from here
			opts.Local = write(t, filepath.Join(local, "what?"), nil)
		}
		err := connector.Upload(t.Context(), c, opts)
		var failed *connector.CopyError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), want) || connector.FindingOf(err) != connector.FindingNone {
			t.Errorf("%s: %v, finding %v", to, err, connector.FindingOf(err))
		}
	}
	checkOnly(t, remote, "file", "folder", "from", "up")
	checkOnly(t, filepath.Join(remote, "folder"), "mine")
	checkOnly(t, s.shell.home, "-x", "home", "relative")
}

// TestWindowsPaths: paths in the form in which the scripts get them.
func TestWindowsPaths(t *testing.T) {
	for p, want := range map[string]string{
		`C:\a\b`: "C:/a/b", `c:/`: "c:/", `C:\..\x`: "C:/x", `C:/a/../..`: "C:/", `a\..\b`: "b", "~": ".", `~\x`: "x", `\x`: "/x", "x/": "x", "../x": "../x", ".hidden": ".hidden",
		"/comet/com10/nullable": "/comet/com10/nullable",
	} {
		if got, err := connector.WindowsPath(p); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", p, got, err, want)
		}
	}
	for _, p := range []string{"", "C:", "C:x", "//server/share", `\\?\C:\x`, "a\x00", "a\nb", "a:b", "C:/a:b", "1:/x", "a*", "a?", "a|b", `a"b`, "<a", "a>", "a./b", "a /b", "..x.",
		"nul", "x/CON/y", "com1.log", "LPT¹", "aux .txt", "a\xff"} {
		if got, err := connector.WindowsPath(p); err == nil {
			t.Errorf("%q is taken as %q", p, got)
		}
	}
}

// TestWinRMUploadOfWhatWindowsDoesNotHave: the error names the entry, and nothing is left.
func TestWinRMUploadOfWhatWindowsDoesNotHave(t *testing.T) {
	s := startWinRM(t)
	c := dial(t, s.info, connector.DialOptions{})
	remote := t.TempDir()
	for name, c2 := range map[string]struct {
		entry, want string
		make        func(path string) error
	}{
		"a symlink":         {"link", "symlink", func(p string) error { return os.Symlink("file", p) }},
		"a name with \\":    {`..\..\outside`, "no file or folder of Windows", func(p string) error { return os.WriteFile(p, nil, 0o600) }},
		"a stream":          {"file:stream", "no file or folder of Windows", func(p string) error { return os.WriteFile(p, nil, 0o600) }},
		"a device":          {"NUL", "no file or folder of Windows", func(p string) error { return os.Mkdir(p, 0o700) }},
		"no Unicode":        {"a\xff", "no file or folder of Windows", func(p string) error { return os.WriteFile(p, nil, 0o600) }},
		"upper, lower case": {"FILE", "there already", func(p string) error { return os.WriteFile(p, nil, 0o600) }},
	} {
		t.Run(name, func(t *testing.T) {
			from := t.TempDir()
			write(t, filepath.Join(from, "file"), []byte("content"))
			if err := c2.make(filepath.Join(from, c2.entry)); err != nil {
				t.Skipf("this file system has no such name: %v", err)
			}
			err := connector.Upload(t.Context(), c, connector.CopyOptions{Local: from, Remote: remote + "/to"})
			if err == nil || !strings.Contains(err.Error(), c2.want) || connector.FindingOf(err) != connector.FindingNone {
				t.Errorf("got %v", err)
			}
			if quoted := fmt.Sprintf("%q", c2.entry); err != nil && !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(strings.Trim(quoted, `"`))) {
				t.Errorf("%q is not in %v", c2.entry, err)
			}
		})
	}
	checkOnly(t, remote)
}

// TestWinRMDownloadOfASymlink: one in the folder is an error with its name. The source itself may be one.
func TestWinRMDownloadOfASymlink(t *testing.T) {
	s := startWinRM(t)
	c := dial(t, s.info, connector.DialOptions{})
	remote, local := t.TempDir(), t.TempDir()
	if err := errors.Join(os.Mkdir(remote+"/folder", 0o755), os.Symlink("/etc", remote+"/folder/link"), os.Symlink("folder", remote+"/source")); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"/folder", "/source"} {
		err := connector.Download(t.Context(), c, connector.CopyOptions{Local: local + "/to", Remote: remote + from})
		if err == nil || !strings.Contains(err.Error(), "/link is a symlink") || connector.FindingOf(err) != connector.FindingNone {
			t.Errorf("%s: %v", from, err)
		}
	}
	checkOnly(t, local)
	if err := os.Remove(remote + "/folder/link"); err != nil {
		t.Fatal(err)
	}
	if err := connector.Download(t.Context(), c, connector.CopyOptions{Local: local + "/to", Remote: remote + "/source"}); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat(local + "/to"); err != nil || info.Mode() != os.ModeDir|0o755 {
		t.Errorf("got %v, %v", info, err)
	}
}

// TestWinRMCopyCancelled: the server allows one shell, so a cancelled copy must have deleted its own before the folder can be removed.
func TestWinRMCopyCancelled(t *testing.T) {
	s := startWinRM(t, "--max-shells", "1")
	c := dial(t, s.info, connector.DialOptions{})
	local, remote := t.TempDir(), t.TempDir()
	for _, dir := range []string{local, remote} {
		write(t, filepath.Join(dir, "big"), nil)
		if err := os.Truncate(filepath.Join(dir, "big"), 1<<40); err != nil {
			t.Skipf("this file system has no sparse files: %v", err)
		}
	}
	enough := errors.New("enough of it")
	for name, do := range map[string]func(context.Context, connector.Client, connector.CopyOptions) error{"upload": connector.Upload, "download": connector.Download} {
		ctx, cancel := context.WithCancelCause(t.Context())
		opts := connector.CopyOptions{Local: local + "/big", Remote: remote + "/to"}
		if name == "download" {
			opts.Local, opts.Remote = local+"/to", remote+"/big"
		}
		opts.Progress = func(p connector.CopyProgress) {
			if p.Bytes > 1<<20 {
				cancel(enough)
			}
		}
		if err := do(ctx, c, opts); !errors.Is(err, enough) || connector.FindingOf(err) != connector.FindingNone {
			t.Errorf("%s: %v, finding %v", name, err, connector.FindingOf(err))
		}
		cancel(nil)
		if err := c.Run(t.Context(), connector.RunOptions{Command: "exit 0"}); err != nil {
			t.Errorf("after the %s: %v", name, err)
		}
		if err := do(ctx, c, opts); !errors.Is(err, enough) {
			t.Errorf("%s, cancelled before it began: %v", name, err)
		}
	}
	checkOnly(t, local, "big")
	checkOnly(t, remote, "big")
}

// TestWinRMUploadScriptsInput: what ends too early, or was changed, gets no name.
func TestWinRMUploadScriptsInput(t *testing.T) {
	s := startWinRM(t)
	c := dial(t, s.info, connector.DialOptions{})
	dir := t.TempDir()
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	lines := "target " + encode(dir+"/to") + " .taskscaler-x\nfile " + encode("data") + "\ndata " + encode("content") + "\n"
	commit := fmt.Sprintf("commit %x\n", sha256.Sum256([]byte(lines)))
	for name, input := range map[string]string{
		"no commit": lines, "half a commit": lines + commit[:20], "half a line": lines[:len(lines)-4], "changed": strings.Replace(lines, encode("content"), encode("CONTENT"), 1) + commit,
	} {
		var out bytes.Buffer
		err := c.Run(t.Context(), connector.RunOptions{Command: connector.UploadCommand, Unwrapped: true, Stdin: strings.NewReader(input), Stdout: &out})
		var exit *connector.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || out.Len() > 0 {
			t.Errorf("%s: %v, said %q", name, err, &out)
		}
		checkOnly(t, dir)
	}
	var out bytes.Buffer
	err := c.Run(t.Context(), connector.RunOptions{Command: connector.UploadCommand, Unwrapped: true, Stdin: strings.NewReader(lines + commit), Stdout: &out})
	if err != nil || out.String() != "whole\n" {
		t.Errorf("whole: %v, said %q", err, &out)
	}
	checkOnly(t, dir, "to")
}

// TestWinRMCopyFailsThere: the error has the words of the script, and nothing is left.
func TestWinRMCopyFailsThere(t *testing.T) {
	s := startWinRM(t)
	c := dial(t, s.info, connector.DialOptions{})
	local, remote := t.TempDir(), t.TempDir()
	for _, dir := range []string{local, remote} {
		write(t, filepath.Join(dir, "from"), make([]byte, 2<<20))
	}
	upload := func() error {
		return connector.Upload(t.Context(), c, connector.CopyOptions{Local: local + "/from", Remote: remote + "/to"})
	}
	download := func() error {
		return connector.Download(t.Context(), c, connector.CopyOptions{Local: local + "/to", Remote: remote + "/from"})
	}
	s.shell.tell(t, "fail", "There is not enough space on the disk.")
	for name, do := range map[string]func() error{"upload": upload, "download": download} {
		err := do()
		var exit *connector.ExitError
		if !errors.As(err, &exit) || !strings.Contains(err.Error(), "There is not enough space on the disk.") || connector.FindingOf(err) != connector.FindingNone {
			t.Errorf("%s: %v, finding %v", name, err, connector.FindingOf(err))
		}
	}
	s.shell.tell(t, "silent", "")
	if err := upload(); err == nil || !strings.Contains(err.Error(), "did not confirm") {
		t.Errorf("an upload that nothing took: %v", err)
	}
	if err := download(); err == nil || !strings.Contains(err.Error(), "ends too early") {
		t.Errorf("a download that nothing sent: %v", err)
	}
	s.shell.tell(t, "upload.ps1", "another script")
	if err := upload(); err == nil || !strings.Contains(err.Error(), "none of those") {
		t.Errorf("a script that the stand-in does not know: %v", err)
	}
	checkOnly(t, local, "from")
	checkOnly(t, remote, "from")
}

// TestWinRMCopyIsLost: the connection is cut in the middle of a copy.
func TestWinRMCopyIsLost(t *testing.T) {
	s := startWinRM(t)
	for name, do := range map[string]func(context.Context, connector.Client, connector.CopyOptions) error{"upload": connector.Upload, "download": connector.Download} {
		t.Run(name, func(t *testing.T) {
			var net cable
			c := dial(t, s.info, connector.DialOptions{Dial: net.dial})
			here, there := t.TempDir(), t.TempDir()
			opts := connector.CopyOptions{Local: here + "/from", Remote: there + "/to"}
			if name == "download" {
				opts = connector.CopyOptions{Local: here + "/to", Remote: there + "/from"}
			}
			for _, dir := range []string{here, there} {
				write(t, dir+"/from", nil)
				if err := os.Truncate(dir+"/from", 1<<40); err != nil {
					t.Skipf("this file system has no sparse files: %v", err)
				}
			}
			opts.Progress = func(p connector.CopyProgress) {
				if p.Bytes > 1<<20 {
					net.cut()
				}
			}
			err := do(t.Context(), c, opts)
			var lost *connector.LostError
			if !errors.As(err, &lost) || connector.FindingOf(err) == connector.FindingNone || !strings.Contains(err.Error(), "connection lost during the copy") {
				t.Errorf("got %v, finding %v", err, connector.FindingOf(err))
			}
			checkOnly(t, here, "from")
			if _, err := os.Lstat(there + "/to"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a target is there: %v", err)
			}
		})
	}
}

// TestWinRMScripts: they fit into a command line with room to spare, are ASCII, and begin as PowerShell needs it.
func TestWinRMScripts(t *testing.T) {
	for name, script := range map[string]string{"upload": connector.UploadScript, "download": connector.DownloadScript} {
		if !strings.HasPrefix(script, "begin {\n") || !strings.HasSuffix(script, "\n}") || regexp.MustCompile(`[^\x20-\x7e\n]|(?m)^ | $|^#`).MatchString(script) {
			t.Errorf("%s: %s", name, script)
		}
		for _, block := range []string{"\nprocess {\n$line = [string]$_\n", "\nend {\n"} {
			if strings.Count(script, block) != 1 {
				t.Errorf("%s has not one %q", name, block)
			}
		}
	}
	for _, command := range []string{connector.UploadCommand, connector.DownloadCommand} {
		if line, err := connector.WinRMCommand(command, connector.WinRMCmd); err != nil || line != command {
			t.Errorf("%d characters: %v", len(command), err)
		}
	}
}

// lines returns what winrmdownload.ps1 sends, with the right sum.
func lines(text ...string) []byte {
	all := strings.Join(text, "\n") + "\n"
	return fmt.Appendf(nil, "%send %X\n", all, sha256.Sum256([]byte(all)))
}

// named returns a line with a name.
func named(word, name, more string) string {
	return word + " " + base64.StdEncoding.EncodeToString([]byte(name)) + more
}

// TestWinRMDownloadFromAHostileMachine: whatever it sends, nothing outside of the target is written, and no part of it looks whole.
func TestWinRMDownloadFromAHostileMachine(t *testing.T) {
	root := named("folder", ".", "")
	outside := filepath.Join(t.TempDir(), "outside")
	file := func(name string) []byte { return lines(root, named("file", name, " 4"), "data ZXZpbA==") }
	whole := file("./a")
	for name, c := range map[string]sends{
		"up":                         {archive: file("../outside")},
		"up, further down":           {archive: file("./a/../../outside")},
		"absolute":                   {archive: file(outside)},
		"below a file":               {archive: lines(root, named("file", "./a", " 0"), named("file", "./a/b", " 0"))},
		"twice":                      {archive: lines(root, named("file", "./a", " 0"), named("file", "./a", " 0"))},
		"a second root":              {archive: lines(root, root)},
		"two files as one":           {archive: lines(named("file", ".", " 0"), named("file", ".", " 0"))},
		"without its folder":         {archive: lines(root, named("file", "./a/b", " 0"))},
		"no root":                    {archive: lines(named("file", "./a", " 0"))},
		"a long name":                {archive: lines(root, named("file", "./"+strings.Repeat("\xff", 30<<10), " 0"))},
		"a zero byte":                {archive: file("./a\x00b")},
		"no UTF-8":                   {archive: file("./\xff")},
		"a name that is no base64":   {archive: lines(root, "folder %%%")},
		"data that are no base64":    {archive: lines(root, named("file", "./a", " 4"), "data ZXZ")},
		"data without data":          {archive: lines(root, named("file", "./a", " 0"), "data ")},
		"data without a file":        {archive: lines(root, "data ZXZpbA==")},
		"less than was said":         {archive: lines(root, named("file", "./a", " 5"), "data ZXZpbA==")},
		"no size":                    {archive: lines(root, named("file", "./a", ""))},
		"a size below zero":          {archive: lines(root, named("file", "./a", " -1"))},
		"a size that is no number":   {archive: lines(root, named("file", "./a", " much"))},
		"another word":               {archive: lines(root, "symlink Li9h /etc")},
		"an empty line":              {archive: lines(root, "")},
		"nothing":                    {},
		"only the end":               {archive: fmt.Appendf(nil, "end %X\n", sha256.Sum256(nil))},
		"noise":                      {archive: bytes.Repeat([]byte("noise"), 1000)},
		"a line without end":         {archive: append([]byte("data "), bytes.Repeat([]byte("A"), 1<<20)...)},
		"cut off in a line":          {archive: whole[:len(root)+12]},
		"cut off between two lines":  {archive: whole[:bytes.LastIndex(whole, []byte("end"))]},
		"cut off in the sum":         {archive: whole[:len(whole)-5]},
		"another sum":                {archive: bytes.Replace(whole, []byte("ZXZpbA=="), []byte("RVZJTA=="), 1)},
		"more after the end":         {archive: append(whole[:len(whole):len(whole)], "more"...)},
		"an error at the end":        {archive: whole, err: connector.NewExitError(1, "")},
		"lost at the end":            {archive: whole, err: &connector.LostError{Started: true, Sent: true, Err: io.EOF}},
		"a greeting of AutoRun":      {archive: append([]byte("hello\r\n"), whole...)},
		"a device as the last entry": {archive: lines(root, named("device", "./a", ""))},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "here")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			err := connector.DownloadPowerShell(t.Context(), c, connector.CopyOptions{Local: filepath.Join(dir, "to"), Remote: "/x"})
			var failed *connector.CopyError
			if !errors.As(err, &failed) || len(err.Error()) > 1000 {
				t.Errorf("got %v", err)
			}
			for _, p := range []string{outside, filepath.Join(filepath.Dir(dir), "outside"), filepath.Join(dir, "outside")} {
				if _, err := os.Lstat(p); err == nil {
					t.Errorf("%s was written", p)
				}
			}
			checkOnly(t, dir)
		})
	}
	to := filepath.Join(t.TempDir(), "to")
	for _, good := range [][]byte{whole, bytes.ReplaceAll(whole, []byte("\n"), []byte("\r\n"))} {
		_ = os.RemoveAll(to)
		if err := connector.DownloadPowerShell(t.Context(), sends{archive: good}, connector.CopyOptions{Local: to, Remote: "/x"}); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(filepath.Join(to, "a")); string(got) != "evil" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// TestWinRMDownloadThatFailsThere: the words of the script are worth more than how its output ended.
func TestWinRMDownloadThatFailsThere(t *testing.T) {
	const words = "Access to the path 'C:\\x' is denied."
	whole := lines(named("file", ".", " 4"), "data ZXZpbA==")
	for _, sent := range [][]byte{nil, whole[:30], whole} {
		err := connector.DownloadPowerShell(t.Context(), fails{sends{archive: sent, err: connector.NewExitError(1, "")}, words}, connector.CopyOptions{Remote: `C:\x`, Local: filepath.Join(t.TempDir(), "to")})
		var exit *connector.ExitError
		if !errors.As(err, &exit) || !strings.Contains(err.Error(), words) {
			t.Errorf("%d bytes: %v", len(sent), err)
		}
	}
}

// TestWinRMFailedUploadRemovesItsFolder: the script was killed, so a second one with the same first line removes the folder, because it gets no commit.
func TestWinRMFailedUploadRemovesItsFolder(t *testing.T) {
	c := &reading{}
	err := connector.UploadPowerShell(t.Context(), c, connector.CopyOptions{Local: write(t, filepath.Join(t.TempDir(), "from"), []byte("content")), Remote: `C:\there\to`})
	if err == nil || len(c.got) != 2 {
		t.Fatalf("%v, got %q", err, c.got)
	}
	first, rest, _ := strings.Cut(c.got[0], "\n")
	if c.got[1] != first+"\n" || !strings.HasPrefix(first, named("target", "C:/there/to", " .taskscaler-")) || !strings.HasPrefix(rest, named("file", "data", "\n")) {
		t.Errorf("got %q", c.got)
	}
}

// reading runs no command: it takes its input, and fails.
type reading struct {
	connector.Client
	got []string
}

func (r *reading) Run(_ context.Context, opts connector.RunOptions) error {
	in, err := io.ReadAll(opts.Stdin)
	r.got = append(r.got, string(in))
	return errors.Join(connector.NewExitError(137, "KILL"), err)
}

// FuzzWinRMDownload: whatever the lines are, the target appears whole or not at all, and nothing else is left beside it.
func FuzzWinRMDownload(f *testing.F) {
	root := named("folder", ".", "")
	f.Add(lines(root, named("folder", "./d", ""), named("file", "./d/f", " 4"), "data ZXZpbA==", "data AAAA"))
	f.Add(lines(named("file", ".", " 0")))
	f.Add(lines(root, named("file", "../f", " 0")))
	f.Add([]byte("folder Lg==\nfile Li9h 3\ndata AAAA\ndata A\nend 00"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		dir := t.TempDir()
		// The sum is a lock that no fuzzer opens, so what comes before the end is also tried with the right one.
		for _, sent := range [][]byte{sent, lines(strings.TrimSuffix(string(sent), "\n"))} {
			to := filepath.Join(dir, "to")
			err := connector.DownloadPowerShell(t.Context(), sends{archive: sent}, connector.CopyOptions{Local: to, Remote: "x"})
			_, missing := os.Lstat(to)
			var failed *connector.CopyError
			if (err == nil) != (missing == nil) || err != nil && (!errors.As(err, &failed) || len(err.Error()) > 16<<10) {
				t.Fatalf("%v; the target: %v", err, missing)
			}
			if err := os.RemoveAll(to); err != nil {
				t.Fatal(err)
			}
			if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
				t.Fatalf("left: %v, %v", list, err)
			}
		}
	})
}
