package connector

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
)

// CopyOptions describes a copy of one file or folder. See [Upload] and [Download].
type CopyOptions struct {
	// Local is a path on this machine.
	Local string
	// Remote is a path on the instance, with slashes; over WinRM also with backslashes. A relative one starts at the home of the remote user.
	Remote string
	// Progress is called now and then while data are copied, and after each entry. The calls come one after another. Nil: no calls.
	Progress func(CopyProgress)
}

// CopyProgress says how far a copy is.
type CopyProgress struct {
	Name    string // of the current entry below the copied folder, with slashes; empty: the copied file or folder itself
	Entries int    // copied so far: files, folders and symlinks
	Bytes   int64  // of the contents of files, so far
}

// Copier is a Client that copies files in a way of its own. [Upload] and [Download] use it. A Client that wraps another one passes both methods on.
type Copier interface {
	Upload(ctx context.Context, opts CopyOptions) error
	Download(ctx context.Context, opts CopyOptions) error
}

// Upload copies the file or folder opts.Local to opts.Remote on the instance. It streams, so size does not matter.
//
// The target is the exact new name, whose parent folder must exist. If it ends with a slash, the source is copied into that folder under its own name.
// An existing file is replaced. An existing folder is not: nothing is mixed or deleted. The target appears only when all of it is
// there: until then it is in a folder beside it, whose name begins with ".taskscaler-". That folder is removed after a failure, if the instance still answers.
//
// Files and folders keep their permissions (0777), and neither owner nor times. A symlink inside a folder is copied as a symlink, whatever it
// points to. A symlink that is the source itself is followed. Anything else, such as a socket or a device, is an error. A source that shrinks while it is copied
// is an error too.
//
// Without a [Copier], the copy is a command of the instance, which needs tar and a POSIX shell. Over SSH it is SFTP, and that command only for a server
// without SFTP. Over WinRM it is a script of Windows PowerShell: there are no permissions, and a symlink inside a folder, or a name that Windows does not
// have, is an error.
//
// The error is a [*CopyError], which wraps the cause. If ctx ends first, that is the cause of ctx.
func Upload(ctx context.Context, c Client, opts CopyOptions) error {
	if own, ok := c.(Copier); ok {
		return own.Upload(ctx, opts)
	}
	return uploadTar(ctx, c, opts)
}

// Download copies the file or folder opts.Remote of the instance to opts.Local. It is [Upload] in the other direction, with the same rules. Whatever the
// instance sends, nothing outside of the target is written.
func Download(ctx context.Context, c Client, opts CopyOptions) error {
	if own, ok := c.(Copier); ok {
		return own.Download(ctx, opts)
	}
	return downloadTar(ctx, c, opts)
}

// CheckDownload reports whether a [Download] to opts.Local can succeed on this machine now: the folder of the target exists and may be written, and the
// target is no existing folder. It asks nothing of the instance. The error is a [*CopyError].
func CheckDownload(ctx context.Context, opts CopyOptions) error {
	return opts.failed(ctx, false, func() error {
		target, err := opts.localTarget()
		if err != nil {
			return err
		}
		to, err := newLocalSink(target)
		if err != nil {
			return err
		}
		to.remove()
		return nil
	}())
}

// CopyError means that a file or folder was not copied. Its target is as it was before.
type CopyError struct {
	Upload        bool // else a download
	Local, Remote string
	Err           error
}

// Error names both paths and the cause.
func (e *CopyError) Error() string {
	if e.Upload {
		return fmt.Sprintf("upload %s to %s: %v", e.Local, e.Remote, e.Err)
	}
	return fmt.Sprintf("download %s to %s: %v", e.Remote, e.Local, e.Err)
}

// Unwrap returns the cause.
func (e *CopyError) Unwrap() error { return e.Err }

// failed wraps err, unless it is nil. If ctx has ended, its cause is the cause.
func (o CopyOptions) failed(ctx context.Context, upload bool, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return &CopyError{Upload: upload, Local: o.Local, Remote: o.Remote, Err: heard(err)}
}

// errNoName is the error of a target from which no name follows.
var errNoName = errors.New("the target has no name of its own: write the path of the new file or folder")

// remoteTarget returns the path of the target on the instance.
func (o CopyOptions) remoteTarget() (string, error) {
	target, err := remotePath(o.Remote)
	if err != nil {
		return "", err
	}
	if strings.HasSuffix(o.Remote, "/") {
		local, err := filepath.Abs(o.Local)
		if err != nil {
			return "", err
		}
		target = path.Join(target, filepath.Base(local))
	}
	if base := path.Base(target); base == "/" || base == "." || base == ".." {
		return "", errNoName
	}
	return dashSafe(target), nil
}

// localTarget returns the path of the target on this machine.
func (o CopyOptions) localTarget() (string, error) {
	if o.Local == "" {
		return "", errors.New("the local path is empty")
	}
	target := filepath.Clean(o.Local)
	if strings.HasSuffix(filepath.ToSlash(o.Local), "/") {
		target = filepath.Join(target, path.Base(path.Clean(o.Remote)))
	}
	if base := filepath.Base(target); base == string(filepath.Separator) || base == "." || base == ".." {
		return "", errNoName
	}
	return target, nil
}

// remotePath returns p in its shortest form. ~/ is the home, where relative paths start too.
func remotePath(p string) (string, error) {
	if p == "" || strings.ContainsRune(p, 0) {
		return "", errors.New("the remote path is empty, or contains a zero byte")
	}
	if p == "~" {
		p = "."
	}
	return dashSafe(path.Clean(strings.TrimPrefix(p, "~/"))), nil
}

// dashSafe returns p in a form that no command takes for an option.
func dashSafe(p string) string {
	if strings.HasPrefix(p, "-") {
		return "./" + p
	}
	return p
}

// tempPrefix begins the name of the folder that holds a copy until it is whole.
const tempPrefix = ".taskscaler-"
