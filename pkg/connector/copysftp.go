package connector

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

var _ Copier = (*sshClient)(nil)

// Upload implements Copier.
func (c *sshClient) Upload(ctx context.Context, opts CopyOptions) error {
	return c.spread(ctx, func(on *sshClient) error {
		done, err := on.overSFTP(ctx, func(s *sftp.Client) error { return on.uploadSFTP(ctx, s, opts) })
		if !done {
			return uploadTar(ctx, on, opts)
		}
		return opts.failed(ctx, true, err)
	})
}

// Download implements Copier.
func (c *sshClient) Download(ctx context.Context, opts CopyOptions) error {
	return c.spread(ctx, func(on *sshClient) error {
		done, err := on.overSFTP(ctx, func(s *sftp.Client) error {
			remote, err := remotePath(opts.Remote)
			if err != nil {
				return err
			}
			return download(ctx, opts, sftpSource(s, remote))
		})
		if !done {
			return downloadTar(ctx, on, opts)
		}
		return opts.failed(ctx, false, err)
	})
}

// errNoSFTP means that the server has no SFTP.
var errNoSFTP = errors.New("no SFTP")

// overSFTP calls transfer with an SFTP client. done is false if the server has none.
func (c *sshClient) overSFTP(ctx context.Context, transfer func(*sftp.Client) error) (done bool, err error) {
	if c.dialer.noSFTP.Load() {
		return false, nil
	}
	s, end, err := c.openSFTP(ctx)
	if errors.Is(err, errNoSFTP) && !c.windows() {
		c.dialer.log.Debug("the server has no SFTP; files are copied with tar", "error", err)
		c.dialer.noSFTP.Store(true)
		return false, nil
	}
	if err != nil {
		return true, err
	}
	defer end()
	err = transfer(s)
	if ctx.Err() == nil && (errors.Is(err, sftp.ErrSSHFxConnectionLost) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe)) {
		return true, c.lostCopy(err)
	}
	return true, err
}

// lostCopy says why an SFTP session broke: with its connection, or alone.
func (c *sshClient) lostCopy(err error) error {
	timer := time.NewTimer(c.dialer.limits.answer)
	defer timer.Stop()
	select {
	case <-c.gone:
		return &LostError{Err: c.explain(err), during: duringCopy}
	case <-timer.C:
		return fmt.Errorf("the SFTP server of the instance ended: %w", err)
	}
}

// openSFTP starts SFTP in a session of its own. end closes it. After ctx has ended, the session stays open for limits.answer, so that what was copied can be
// removed.
func (c *sshClient) openSFTP(ctx context.Context) (s *sftp.Client, end func(), err error) {
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	type opened struct {
		client  *sftp.Client
		session *ssh.Session
		err     error
	}
	result := make(chan opened, 1)
	go func() {
		client, session, err := c.startSFTP()
		result <- opened{client, session, err}
	}()
	select {
	case o := <-result:
		if o.err != nil {
			return nil, nil, o.err
		}
		stop := context.AfterFunc(ctx, func() {
			time.AfterFunc(c.dialer.limits.answer, func() { _ = o.session.Close() })
		})
		return o.client, func() {
			stop()
			_ = o.session.Close() // before the client, which waits for the end of the session
			_ = o.client.Close()
		}, nil
	case <-ctx.Done():
		go func() { // the server may still answer
			if o := <-result; o.session != nil {
				_ = o.session.Close()
			}
		}()
		return nil, nil, context.Cause(ctx)
	}
}

func (c *sshClient) startSFTP() (client *sftp.Client, session *ssh.Session, err error) {
	session, err = c.conn.NewSession()
	if err != nil {
		err = (&run{client: c}).startError(err)
		return nil, nil, copying(err)
	}
	in, err := session.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := session.RequestSubsystem("sftp"); err != nil {
		_ = session.Close()
		if c.why() != nil {
			return nil, nil, &LostError{Err: c.explain(err), during: duringCopy}
		}
		return nil, nil, fmt.Errorf("%w: %w", errNoSFTP, err)
	}
	client, err = sftp.NewClientPipe(out, in, sftp.UseConcurrentWrites(true))
	if err != nil { // such as a subsystem whose program is not installed, or prints a greeting
		_ = session.Close()
		return nil, nil, fmt.Errorf("%w: %w", errNoSFTP, err)
	}
	return client, session, nil
}

// uploadSFTP copies to a folder beside the target, and then gives the copy its name.
func (c *sshClient) uploadSFTP(ctx context.Context, s *sftp.Client, opts CopyOptions) error {
	target, err := opts.remoteTarget()
	if err != nil {
		return err
	}
	if info, err := s.Stat(target); err == nil && info.IsDir() {
		return errIsFolder(target)
	}
	temp := path.Join(path.Dir(target), tempPrefix+rand.Text())
	if err := s.Mkdir(temp); err != nil {
		if info, missing := s.Stat(path.Dir(target)); errors.Is(missing, fs.ErrNotExist) || missing == nil && !info.IsDir() {
			return errNoFolder(path.Dir(target))
		}
		return &fs.PathError{Op: "create a folder beside the target", Path: temp, Err: err}
	}
	to := &sftpSink{client: s, temp: temp}
	err = errors.Join(s.Chmod(temp, 0o700), transfer(ctx, localSource(opts.Local), to, opts.Progress))
	if err == nil {
		err = to.commit(target)
	}
	if left := to.remove(); left != nil {
		c.dialer.log.Debug("what is left of a copy was not removed", "folder", temp, "error", left)
	}
	return err
}

// sftpSink writes below a folder of the instance.
type sftpSink struct {
	client *sftp.Client
	temp   string
	modes  []entry // the folders, whose permissions are set at the end
}

// put implements sink.
func (s *sftpSink) put(e entry) error {
	p := path.Join(s.temp, dataName, e.name)
	op := "create"
	var err error
	switch {
	case e.mode.IsDir():
		s.modes = append(s.modes, entry{name: p, mode: e.mode})
		err = s.client.Mkdir(p)
	case e.mode.Type() == fs.ModeSymlink:
		err = s.client.Symlink(e.link, p)
	default:
		op, err = "write", s.file(p, e)
	}
	if err != nil {
		return &fs.PathError{Op: op, Path: p, Err: err}
	}
	return nil
}

func (s *sftpSink) file(p string, e entry) error {
	f, err := s.client.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	_, err = f.ReadFrom(e.body)
	if err == nil {
		err = f.Chmod(e.mode.Perm())
	}
	return errors.Join(err, f.Close())
}

// commit gives the copy its name.
func (s *sftpSink) commit(target string) error {
	var last fs.FileMode // of the copied folder: one that may not be written cannot be moved
	for _, m := range slices.Backward(s.modes) {
		mode := m.mode.Perm()
		if m.name == path.Join(s.temp, dataName) {
			last, mode = mode, mode|0o700
		}
		if err := s.client.Chmod(m.name, mode); err != nil {
			return &fs.PathError{Op: "chmod", Path: m.name, Err: err}
		}
	}
	if err := s.rename(path.Join(s.temp, dataName), target); err != nil {
		return &fs.PathError{Op: "rename the copy to", Path: target, Err: err}
	}
	if len(s.modes) > 0 && last|0o700 != last {
		return s.client.Chmod(target, last)
	}
	return nil
}

// rename replaces a file at once if the server has OpenSSH's extension. Else there is a moment without the file.
func (s *sftpSink) rename(from, to string) error {
	if _, ok := s.client.HasExtension("posix-rename@openssh.com"); ok {
		return s.client.PosixRename(from, to)
	}
	if info, err := s.client.Lstat(to); err == nil && !info.IsDir() {
		if err := s.client.Remove(to); err != nil {
			return err
		}
	}
	return s.client.Rename(from, to)
}

// remove removes what is left.
func (s *sftpSink) remove() error {
	for _, m := range s.modes { // a folder that may not be written cannot be emptied
		_ = s.client.Chmod(m.name, 0o700)
	}
	return removeAll(s.client, s.temp)
}

// removeAll removes a folder and all that is in it. It follows no symlink.
func removeAll(s *sftp.Client, dir string) error {
	list, err := s.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, info := range list {
		p := path.Join(dir, path.Base(info.Name()))
		if info.IsDir() {
			err = removeAll(s, p)
		} else {
			err = s.Remove(p)
		}
		if err != nil {
			return err
		}
	}
	return s.RemoveDirectory(dir)
}

// sftpSource reads a file or folder of the instance.
func sftpSource(s *sftp.Client, remote string) source {
	return func(put func(entry) error) error {
		info, err := s.Stat(remote)
		if err != nil {
			return &fs.PathError{Op: "stat", Path: remote, Err: err}
		}
		return readSFTP(s, remote, "", info, put)
	}
}

// readSFTP puts one entry, and what is below it.
func readSFTP(s *sftp.Client, p, name string, info fs.FileInfo, put func(entry) error) error {
	if err := supported(p, info.Mode()); err != nil {
		return err
	}
	switch {
	case info.IsDir():
		return readFolder(s, p, name, info, put)
	case info.Mode().Type() == fs.ModeSymlink:
		link, err := s.ReadLink(p)
		if err != nil {
			return &fs.PathError{Op: "read the symlink", Path: p, Err: err}
		}
		return put(entry{name: name, mode: info.Mode(), link: link})
	}
	f, err := s.Open(p)
	if err != nil {
		return &fs.PathError{Op: "open", Path: p, Err: err}
	}
	defer func() { _ = f.Close() }()
	// Only WriteTo has several requests under way, so it writes into a pipe.
	read, write := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := f.WriteTo(write)
		if err != nil {
			err = &fs.PathError{Op: "read", Path: p, Err: err}
		}
		_ = write.CloseWithError(err)
	}()
	err = put(entry{name: name, mode: info.Mode(), size: info.Size(), body: read})
	_ = read.CloseWithError(io.ErrClosedPipe)
	<-done
	return err
}

func readFolder(s *sftp.Client, p, name string, info fs.FileInfo, put func(entry) error) error {
	if err := put(entry{name: name, mode: info.Mode()}); err != nil {
		return err
	}
	list, err := s.ReadDir(p)
	if err != nil {
		return &fs.PathError{Op: "list", Path: p, Err: err}
	}
	slices.SortFunc(list, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	for _, below := range list {
		if strings.Contains(below.Name(), "/") || below.Name() == ".." {
			return fmt.Errorf("the instance sent the name %q for an entry of %s", below.Name(), p)
		}
		if err := readSFTP(s, p+"/"+below.Name(), path.Join(name, below.Name()), below, put); err != nil {
			return err
		}
	}
	return nil
}
