package jobexec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/connector"
)

// Copy is a file or folder to copy, in the words of connector.CopyOptions.
type Copy struct{ Local, Remote string }

// ParseUpload reads LOCAL:REMOTE. LOCAL cannot contain a colon.
func ParseUpload(text string) (Copy, error) {
	local, remote, ok := strings.Cut(text, ":")
	if !ok || local == "" || remote == "" {
		return Copy{}, fmt.Errorf("%q is not LOCAL:REMOTE: name the file or folder here, a colon, and its path on the instance", text)
	}
	return Copy{Local: local, Remote: remote}, nil
}

// ParseDownload reads REMOTE:LOCAL. LOCAL cannot contain a colon.
func ParseDownload(text string) (Copy, error) {
	at := strings.LastIndexByte(text, ':')
	if at <= 0 || at == len(text)-1 {
		return Copy{}, fmt.Errorf("%q is not REMOTE:LOCAL: name the file or folder on the instance, a colon, and its path here", text)
	}
	return Copy{Remote: text[:at], Local: text[at+1:]}, nil
}

// checkUploads looks for what is to be uploaded before a job waits for an instance.
func checkUploads(list []Copy) error {
	for _, c := range list {
		if _, err := os.Stat(c.Local); err != nil {
			return fmt.Errorf("the command was not started: --upload: %w", err)
		}
	}
	return nil
}

// checkDownloads looks whether there is a place for what is to be downloaded, before a job waits for an instance. A place below an earlier download may not
// be there yet.
func checkDownloads(ctx context.Context, list []Copy) error {
	for i, c := range list {
		below := func(earlier Copy) bool {
			rel, err := filepath.Rel(earlier.Local, c.Local)
			return err == nil && filepath.IsLocal(rel) && rel != "."
		}
		if slices.ContainsFunc(list[:i], below) {
			continue
		}
		if err := connector.CheckDownload(ctx, connector.CopyOptions{Local: c.Local, Remote: c.Remote}); err != nil {
			return fmt.Errorf("the command was not started: %w", err)
		}
	}
	return nil
}

// upload copies what the command needs. If the instance is at fault, another one can run the command.
func (r *run) upload(ctx context.Context, lease control.Lease, client connector.Client) (verdict, error) {
	for _, c := range r.job.Uploads {
		err := connector.Upload(ctx, client, connector.CopyOptions{Local: c.Local, Remote: c.Remote})
		if err == nil {
			continue
		}
		found := r.doubtCopy(ctx, lease, err)
		switch {
		case ctx.Err() != nil:
			return found, r.unstarted(ctx, lease, "the command was not started")
		case broken(err), found.unhealthy == control.UnhealthyUnreachable:
			return found, &notRunError{what: "the command was not started on instance " + lease.Instance, err: err}
		}
		return found, fmt.Errorf("the command was not started: %w", err)
	}
	return verdict{}, nil
}

// download copies what the command made. code is that of the command. A failure hides it only if it is 0: without its files, the command did not succeed for
// the caller, but a failure of the command is worth more. All downloads are tried, unless the connection is lost.
func (r *run) download(ctx context.Context, lease control.Lease, client connector.Client, code int) (int, verdict, error) {
	var failed error
	var found verdict
	for _, c := range r.job.Downloads {
		err := connector.Download(ctx, client, connector.CopyOptions{Local: c.Local, Remote: c.Remote})
		if err == nil {
			continue
		}
		if failed == nil {
			failed = err
		} else {
			failed = fmt.Errorf("%w; %w", failed, err)
		}
		found = found.after(r.doubtCopy(ctx, lease, err))
		if ctx.Err() != nil || broken(err) {
			break
		}
	}
	switch {
	case failed == nil:
		return code, verdict{}, nil
	case ctx.Err() != nil:
		return 0, found, ended(ctx, fmt.Sprintf("the command ended with exit code %d, and its files were not downloaded", code), ExitLost)
	case code == 0:
		code = ExitLost
		failed = fmt.Errorf("the command succeeded, but: %w", failed)
	default:
		failed = fmt.Errorf("the command ended with exit code %d, and: %w", code, failed)
	}
	return 0, found, &Error{Code: code, Err: failed}
}

// broken reports whether a copy failed because of the connection or the server, and not because of a path or a disk.
func broken(err error) bool {
	var lost *connector.LostError
	var refused *connector.RefusedError
	return errors.As(err, &lost) || errors.As(err, &refused)
}

// doubtCopy judges the instance after a failed copy.
func (r *run) doubtCopy(ctx context.Context, lease control.Lease, err error) verdict {
	if connector.FindingOf(err) == connector.FindingNone {
		return verdict{}
	}
	return r.doubt(ctx, lease, err)
}
