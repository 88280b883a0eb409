package connector

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

// endName is the name of the last file of an archive that is sent. Its presence shows that all others arrived: tar does not tell an archive that was
// cut off between two files from a whole one.
const endName = "end"

// uploadScript unpacks an archive from stdin beside the target $1, in the folder $2, and then gives it its name. $4 is the folder of both. Its text has no single quotes and no
// newlines, so that any login shell can pass it to sh. The folder itself gets its permissions after the rename: one that may not be written cannot be moved.
const uploadScript = `p=$1; t=$2; set -e; if [ -d "$p" ]; then echo "$p is an existing folder, which is not replaced: write $p/ to copy into it, or another name" >&2; ` +
	`exit 1; fi; if [ ! -d "$4" ]; then echo "$4: no such folder; create it first" >&2; exit 1; fi; mkdir -m 700 "$t"; trap "chmod -R u+rwX \"\$t\" 2>/dev/null; rm -rf \"\$t\"" 0; trap "exit 1" 1 2 13 15; tar -xpof - -C "$t"; ` +
	`if [ ! -f "$t/` + endName + `" ]; then echo "the archive is not complete" >&2; exit 1; fi; mv -f "$t/` + dataName + `" "$p"; ` +
	`if [ -n "$3" ]; then chmod "$3" "$p"; fi`

// downloadScript packs the file or folder $1 into an archive on stdout. A symlink is followed.
const downloadScript = `p=$1; if [ -d "$p" ]; then exec tar -cf - -C "$p" .; fi; if [ ! -f "$p" ]; then if [ -e "$p" ]; ` +
	`then echo "$p is neither a file nor a folder" >&2; else echo "$p: no such file or folder" >&2; fi; exit 1; fi; exec tar -chf - -C "$2" "./$3"`

// script returns the command line that runs a script with arguments.
func script(text string, args ...string) string {
	line := "sh -c '" + text + "' sh"
	for _, a := range args {
		line += " '" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	return line
}

// removeScript removes the folder $1 of a copy that failed.
const removeScript = `chmod -R u+rwX "$1" 2>/dev/null; rm -rf "$1"`

// removeTime limits how long a copy that failed waits until its folder is removed.
const removeTime = 5 * time.Second

// tarSink writes an archive. Its entries have the time at, because no times are copied.
type tarSink struct {
	to *tar.Writer
	at time.Time
}

// put implements sink.
func (s *tarSink) put(e entry) error {
	if e.size == 0 && e.body != nil && e.mode.IsRegular() {
		var err error
		if e.body, e.size, err = unsized(e.body); err != nil {
			return err
		}
	}
	h := &tar.Header{Name: path.Join(dataName, e.name), Mode: int64(e.mode.Perm()), Format: tar.FormatGNU, Typeflag: tar.TypeReg, Size: e.size, ModTime: s.at}
	switch {
	case e.mode.IsDir():
		h.Typeflag, h.Name, h.Size = tar.TypeDir, h.Name+"/", 0
		if e.name == "" {
			h.Mode |= 0o700
		}
	case e.mode.Type() == fs.ModeSymlink:
		h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, e.link, 0
	}
	if err := s.to.WriteHeader(h); err != nil || e.body == nil {
		return err
	}
	_, err := io.Copy(s.to, io.LimitReader(e.body, e.size)) // what was appended in the meantime is left out
	return err
}

// maxUnsized is the largest content of a file that says that it has none.
const maxUnsized = 4 << 20

// unsized reads a file whose size is 0. Files of /proc say so and have a content all the same.
func unsized(from io.Reader) (io.Reader, int64, error) {
	content, err := io.ReadAll(io.LimitReader(from, maxUnsized+1))
	if err == nil && len(content) > maxUnsized {
		err = fmt.Errorf("a file that says that it is empty has more than %d bytes: copy it to a plain file first", maxUnsized)
	}
	return bytes.NewReader(content), int64(len(content)), err
}

// tarSource reads an archive that downloadScript made.
func tarSource(from io.Reader) source {
	return func(put func(entry) error) error {
		archive := tar.NewReader(from)
		single := true // the archive is one file
		for first := true; ; first = false {
			h, err := archive.Next()
			if errors.Is(err, io.EOF) {
				if first {
					return &archiveError{errors.New("the instance sent an empty archive")}
				}
				_, err := io.Copy(io.Discard, from) // the padding
				return err
			}
			if err != nil {
				return &archiveError{fmt.Errorf("read the archive that the instance sent: %w", err)}
			}
			if first {
				single = h.Typeflag != tar.TypeDir
			}
			e := entry{name: entryName(h.Name), mode: h.FileInfo().Mode(), link: h.Linkname}
			if single {
				e.name = ""
			}
			if err := supported(e.name, e.mode); err != nil {
				return err
			}
			switch h.Typeflag {
			case tar.TypeReg, tar.TypeGNUSparse:
				e.size, e.body = h.Size, archive
			case tar.TypeLink:
				e.hard, e.link = true, entryName(h.Linkname)
			case tar.TypeDir, tar.TypeSymlink:
			default:
				return fmt.Errorf("the instance sent an archive with %q, an entry of the unknown type %q", e.name, h.Typeflag)
			}
			if err := put(e); err != nil {
				return err
			}
		}
	}
}

// archiveError means that the archive of the instance ends too early, or is none.
type archiveError struct{ err error }

func (e *archiveError) Error() string { return e.err.Error() }
func (e *archiveError) Unwrap() error { return e.err }

// entryName returns the name of an entry in an archive of ".". Names that lead out of it stay as they are, and are refused later.
func entryName(name string) string {
	name = strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	if name == "." {
		return ""
	}
	return name
}

// tarRun runs a script, of which one stream is an archive. move reads or writes the archive at our end of the pipe, which it must close with its error.
func tarRun(ctx context.Context, c Client, opts RunOptions, stop func(error), move func() error) error {
	said := &tail{}
	opts.Stderr = said
	moved := make(chan error, 1)
	go func() { moved <- move() }()
	err := c.Run(ctx, opts)
	if err == nil {
		stop(nil)
	} else {
		stop(errRunEnded)
	}
	own := <-moved
	var exit *ExitError
	var cancelled *CancelError
	var broken *archiveError
	switch {
	case errors.As(err, &cancelled) && !cancelled.Ended:
		return err // it wraps our own error, and says that the command may still run
	case errors.As(own, &broken) && errors.As(err, &exit): // the command says why
		exit.stderr = said.String()
	case own != nil && !errors.Is(own, errRunEnded):
		return own // that of Run, if there is one, is its consequence
	case errors.As(err, &exit):
		exit.stderr = said.String()
	}
	return copying(err)
}

// errRunEnded is what the other end of the pipe sees after the end of Run.
var errRunEnded = errors.New("the command ended")

const duringCopy = "during the copy"

// copying returns err in words that fit a copy: there, a LostError says nothing about a command.
func copying(err error) error {
	var lost *LostError
	if errors.As(err, &lost) {
		said := *lost
		said.during = duringCopy
		return &said
	}
	return err
}

// uploadTar is Upload by a command of the instance.
func uploadTar(ctx context.Context, c Client, opts CopyOptions) error {
	return opts.failed(ctx, true, func() error {
		target, err := opts.remoteTarget()
		if err != nil {
			return err
		}
		temp := path.Join(path.Dir(target), tempPrefix+rand.Text())
		mode, err := folderMode(opts.Local)
		if err != nil {
			return err
		}
		read, write := io.Pipe()
		command := script(uploadScript, target, dashSafe(temp), mode, dashSafe(path.Dir(target)))
		// After a command that succeeded, everything has arrived, even if tar left some of the padding.
		err = tarRun(ctx, c, RunOptions{Command: command, Stdin: read}, func(error) { _ = read.CloseWithError(errRunEnded) }, func() error {
			archive := tar.NewWriter(write)
			err := transfer(ctx, localSource(opts.Local), &tarSink{archive, time.Now()}, opts.Progress)
			if err == nil {
				err = errors.Join(archive.WriteHeader(&tar.Header{Name: endName, Mode: 0o600, Typeflag: tar.TypeReg}), archive.Close())
			}
			_ = write.CloseWithError(err)
			return err
		})
		if err != nil { // the command may have been killed before it could remove the folder
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTime)
			defer cancel()
			_ = c.Run(end, RunOptions{Command: script(removeScript, dashSafe(temp))})
		}
		return err
	}())
}

// downloadTar is Download by a command of the instance.
func downloadTar(ctx context.Context, c Client, opts CopyOptions) error {
	return opts.failed(ctx, false, func() error {
		remote, err := remotePath(opts.Remote)
		if err != nil {
			return err
		}
		target, err := opts.localTarget()
		if err != nil {
			return err
		}
		to, err := newLocalSink(target)
		if err != nil {
			return err
		}
		defer to.remove()
		read, write := io.Pipe()
		command := script(downloadScript, remote, dashSafe(path.Dir(remote)), path.Base(remote))
		if err := tarRun(ctx, c, RunOptions{Command: command, Stdout: write}, func(err error) { _ = write.CloseWithError(err) }, func() error {
			err := transfer(ctx, tarSource(read), to, opts.Progress)
			_ = read.CloseWithError(err)
			return err
		}); err != nil {
			return err
		}
		return to.commit()
	}())
}
