package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/taskscaler/taskscaler/internal/pathguard"
)

// maxExecutable bounds the private copy of an executable, in bytes.
const maxExecutable = 1 << 30

// inspect checks the executable before it is started: that it is one, and that no other user can replace it.
func inspect(path string, insecure bool) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &LaunchError{Path: path, Reason: ReasonNotFound, Detail: absent(path)}
	case err != nil:
		return &LaunchError{Path: path, Reason: ReasonNotExecutable, Detail: "cannot be accessed", Err: err}
	case info.IsDir():
		return &LaunchError{Path: path, Reason: ReasonNotExecutable, Detail: fmt.Sprintf("%s is a folder", path)}
	case !info.Mode().IsRegular():
		return &LaunchError{Path: path, Reason: ReasonNotExecutable, Detail: fmt.Sprintf("%s is not a regular file", path)}
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o111 == 0:
		return &LaunchError{Path: path, Reason: ReasonNotExecutable, Detail: notExecutable(path)}
	case insecure:
		return nil
	}
	return CheckPath(path)
}

// notExecutable says that a file has no run bit, and what it is.
func notExecutable(path string) string {
	switch k := kindOf(path); {
	case k.what == "a script" || k.platform == runtime.GOOS+"/"+runtime.GOARCH:
		return fmt.Sprintf("%s is %s that nobody may execute: chmod +x %s", path, k.what, path)
	case k.platform != "":
		return fmt.Sprintf("%s is built for %s, and this machine is %s/%s", path, k.platform, runtime.GOOS, runtime.GOARCH)
	case k.what != "":
		return fmt.Sprintf("%s is not executable, and it is %s; if it is the plugin after all: chmod +x %s", path, k.what, path)
	}
	return fmt.Sprintf("%s is not executable: chmod +x %s", path, path)
}

// CheckFile returns an error if the file at path cannot be executed on this machine: a *[LaunchError] that says what it is, and what to do. It does not ask who
// can replace it.
func CheckFile(path string) error {
	if err := inspect(path, true); err != nil {
		return err
	}
	if why := kindOf(path).foreign(); why != "" {
		return &LaunchError{Path: path, Reason: ReasonNotExecutable, Detail: path + " is " + why}
	}
	return nil
}

// CheckPath returns an error if a user other than root and the user of this process can replace the file at path: because that user may write
// to it, to a folder on the way to it, or to the target of a symbolic link. [Launch] makes the same check. The error is a *[LaunchError] that
// names the part of the path, its owner, its mode, and the command that mends it. path must be absolute.
func CheckPath(path string) error {
	err := pathguard.Check(path)
	if err == nil {
		return nil
	}
	var fault *pathguard.Fault
	if !errors.As(err, &fault) {
		return &LaunchError{Path: path, Reason: ReasonInsecure, Detail: "its owner and mode cannot be examined", Err: err}
	}
	return &LaunchError{Path: path, Reason: ReasonInsecure, Detail: "others than its owner can replace it, and it was not started", Err: err}
}

// copyChecked copies the executable into the private folder dir and returns the path of the copy, if the copied bytes have the SHA-256 sum. from says where
// the sum comes from.
// So what was summed is what runs: a later change of the file at path, or another file in its place, has no effect.
func copyChecked(path, sum, from, dir string) (string, error) {
	if err := pathguard.Check(dir); err != nil {
		return "", &LaunchError{
			Path: path, Reason: ReasonInsecure, Err: err,
			Detail: from + " needs a private copy, and others can replace what is in the folder for temporary files (TMPDIR)",
		}
	}
	if noExec(dir) {
		return "", &LaunchError{
			Path: path, Reason: ReasonNotExecutable,
			Detail: fmt.Sprintf("%s needs a private copy, and %s is mounted with noexec: set TMPDIR to a folder whose programs may be executed", from, dir),
		}
	}
	target := filepath.Join(dir, filepath.Base(path))
	got, err := copySummed(path, target)
	if err != nil {
		return "", &LaunchError{Path: path, Reason: ReasonNotExecutable, Detail: "cannot be read to check " + from, Err: err}
	}
	if want := strings.TrimSpace(sum); !strings.EqualFold(got, want) {
		return "", &LaunchError{Path: path, Reason: ReasonChecksum, Detail: fmt.Sprintf(
			"%s has the SHA-256 sum %s, but %s is %s; it was not started", path, got, from, strings.ToLower(want))}
	}
	return target, nil
}

// copySummed writes the bytes of the file at path to the new file target, and returns their SHA-256 sum in hexadecimal.
func copySummed(path, target string) (sum string, err error) {
	from, err := openRegular(path)
	if err != nil {
		return "", err
	}
	defer from.Close()
	// A process that another goroutine starts meanwhile would inherit the open copy until its exec, and a file that is open for writing cannot
	// be executed ("text file busy"). So no process is started while the copy is open.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	to, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o500)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, h), io.LimitReader(from, maxExecutable+1))
	switch {
	case err != nil:
		return "", err
	case n > maxExecutable:
		return "", fmt.Errorf("it has more than %d bytes", maxExecutable)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Sum returns the SHA-256 sum of the file at path in hexadecimal, as LaunchOptions.SHA256 has it.
func Sum(path string) (string, error) {
	f, err := openRegular(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	switch n, err := io.Copy(h, io.LimitReader(f, maxExecutable+1)); {
	case err != nil:
		return "", err
	case n > maxExecutable:
		return "", fmt.Errorf("%s has more than %d bytes", path, maxExecutable)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// openRegular opens a file and refuses whatever else may have taken its place. It does not wait for the writer of a named pipe.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonBlock, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
