package connector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// entry is a file, folder or symlink of a copy.
type entry struct {
	name string      // below the copied folder, with slashes; empty: the copied file or folder itself
	mode fs.FileMode // type and permissions
	size int64       // of a file
	link string      // of a symlink: what it points to
	hard bool        // the entry is another name for the file link, which has the form of name
	body io.Reader   // of a file
}

// sink takes the entries of a copy, each folder before what is in it.
type sink interface {
	put(e entry) error
}

// source calls put for each entry, and stops at the first error.
type source func(put func(entry) error) error

// errChanged means that a file was shorter than it had been when it was opened.
var errChanged = errors.New("the file changed while it was copied")

// transfer copies everything from one side to the other.
func transfer(ctx context.Context, from source, to sink, progress func(CopyProgress)) error {
	var p CopyProgress
	report := func() {
		if progress != nil {
			progress(p)
		}
	}
	return from(func(e entry) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p.Name = e.name
		if e.body != nil {
			before := p.Bytes
			e.body = &bodyReader{ctx: ctx, from: e.body, size: e.size, told: func(n int64) { p.Bytes = before + n; report() }}
		}
		if err := to.put(e); err != nil {
			return err
		}
		if b, ok := e.body.(*bodyReader); ok && b.n < e.size {
			return &fs.PathError{Op: "copy", Path: e.name, Err: errChanged}
		}
		p.Entries++
		report()
		return nil
	})
}

// bodyReader reads the content of a file until ctx ends.
type bodyReader struct {
	ctx  context.Context
	from io.Reader
	size int64
	n    int64
	told func(n int64)
}

// Read implements io.Reader.
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	n, err := b.from.Read(p)
	b.n += int64(n)
	if n > 0 {
		b.told(b.n)
	}
	return n, err
}

// Size returns the expected size, so that a sink can have several writes under way.
func (b *bodyReader) Size() int64 { return b.size }

// supported is an error for an entry that is neither a file, nor a folder, nor a symlink.
func supported(name string, mode fs.FileMode) error {
	switch mode.Type() {
	case 0, fs.ModeDir, fs.ModeSymlink:
		return nil
	}
	return &fs.PathError{Op: "copy", Path: name, Err: errors.New("it is neither a file, nor a folder, nor a symlink")}
}

// localSource reads a file or folder of this machine.
func localSource(local string) source {
	return func(put func(entry) error) error {
		info, err := os.Stat(local)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			if err := supported(local, info.Mode()); err != nil {
				return err
			}
			f, err := os.Open(local)
			if err != nil {
				return err
			}
			return putFile(f, "", put)
		}
		root, err := os.OpenRoot(local)
		if err != nil {
			return err
		}
		defer func() { _ = root.Close() }()
		return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return putEntry(root, name, d, put)
		})
	}
}

func putEntry(root *os.Root, name string, d fs.DirEntry, put func(entry) error) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	if err := supported(name, info.Mode()); err != nil {
		return err
	}
	if name == "." {
		name = ""
	}
	switch {
	case info.IsDir():
		return put(entry{name: name, mode: info.Mode()})
	case info.Mode().Type() == fs.ModeSymlink:
		link, err := root.Readlink(name)
		if err != nil {
			return err
		}
		return put(entry{name: name, mode: info.Mode(), link: link})
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	return putFile(f, name, put)
}

// putFile puts an open file, and closes it.
func putFile(f *os.File, name string, put func(entry) error) error {
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // it was a moment ago
		return &fs.PathError{Op: "copy", Path: f.Name(), Err: errChanged}
	}
	return put(entry{name: name, mode: info.Mode(), size: info.Size(), body: f})
}

// folderMode returns the permissions of a folder as chmod takes them, and nothing for a file.
func folderMode(local string) (string, error) {
	info, err := os.Stat(local)
	if err != nil || !info.IsDir() {
		return "", err
	}
	return fmt.Sprintf("%o", info.Mode().Perm()), nil
}

// localSink writes below a folder beside the target. It never leaves this folder, whatever the names and symlinks are.
type localSink struct {
	target string
	temp   string
	root   *os.Root // temp
	modes  []entry  // the folders, whose permissions are set at the end: they may forbid to write
}

const dataName = "data" // of the copied file or folder, in the folder that holds it until it is whole

func newLocalSink(target string) (*localSink, error) {
	if info, err := os.Stat(target); err == nil && info.IsDir() {
		return nil, errIsFolder(target)
	}
	parent := filepath.Dir(target)
	temp, err := os.MkdirTemp(parent, tempPrefix)
	if info, missing := os.Stat(parent); err != nil && (errors.Is(missing, fs.ErrNotExist) || missing == nil && !info.IsDir()) {
		return nil, errNoFolder(parent)
	}
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(temp)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(temp))
	}
	return &localSink{target: target, temp: temp, root: root}, nil
}

// errIsFolder is the error of a target that is an existing folder.
func errIsFolder(target string) error {
	return fmt.Errorf("%s is an existing folder, which is not replaced: write %s/ to copy into it, or another name", target, strings.TrimSuffix(target, "/"))
}

// errNoFolder is the error of a target in a folder that does not exist.
func errNoFolder(parent string) error {
	return fmt.Errorf("%s: no such folder; create it first", parent)
}

// put implements sink.
func (s *localSink) put(e entry) error {
	name, err := inside(e.name)
	if err != nil {
		return err
	}
	switch {
	case e.hard:
		old, err := inside(e.link)
		if err != nil {
			return err
		}
		return s.root.Link(old, name)
	case e.mode.IsDir():
		s.modes = append(s.modes, entry{name: name, mode: e.mode})
		return s.root.Mkdir(name, 0o700)
	case e.mode.Type() == fs.ModeSymlink:
		return s.root.Symlink(e.link, name)
	}
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(struct{ io.Writer }{f}, e.body) // in pieces, so that the body can end with its context
	return errors.Join(err, f.Chmod(e.mode.Perm()), f.Close())
}

// commit gives the copy its name.
func (s *localSink) commit() error {
	for i := len(s.modes) - 1; i >= 0; i-- {
		if err := s.root.Chmod(s.modes[i].name, s.modes[i].mode.Perm()); err != nil {
			return err
		}
	}
	if info, err := s.root.Lstat(dataName); err == nil && info.IsDir() { // a folder that may not be written cannot be moved
		if err := s.root.Chmod(dataName, info.Mode().Perm()|0o700); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(s.temp, dataName), s.target); err != nil {
			return err
		}
		return os.Chmod(s.target, info.Mode().Perm())
	}
	return os.Rename(filepath.Join(s.temp, dataName), s.target)
}

// remove removes what is left.
func (s *localSink) remove() {
	for _, m := range s.modes { // a folder that may not be written cannot be emptied
		_ = s.root.Chmod(m.name, 0o700)
	}
	_ = s.root.Close()
	_ = os.RemoveAll(s.temp)
}

// inside returns the path of an entry in the folder that holds the copy. It refuses names that lead out of the copy.
func inside(name string) (string, error) {
	if name == "" {
		return dataName, nil
	}
	if !fs.ValidPath(name) || name == "." {
		return "", fmt.Errorf("the instance sent the name %q, which leads out of the copied folder", name)
	}
	return path.Join(dataName, name), nil
}

// download copies from a source to the local target.
func download(ctx context.Context, opts CopyOptions, from source) error {
	target, err := opts.localTarget()
	if err != nil {
		return err
	}
	to, err := newLocalSink(target)
	if err != nil {
		return err
	}
	defer to.remove()
	if err := transfer(ctx, from, to, opts.Progress); err != nil {
		return err
	}
	return to.commit()
}
