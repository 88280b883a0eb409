package connector

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed" // the script
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/winrm"
)

//go:embed winrmupload.ps1
var uploadPS1 string

// windowsRemoveTime limits how long an upload that failed waits until its folder is removed. PowerShell may take seconds to start.
const windowsRemoveTime = 20 * time.Second

// uploadPowerShell is Upload by PowerShell.
func uploadPowerShell(ctx context.Context, c Client, opts CopyOptions) error {
	return opts.failed(ctx, true, func() error {
		target, err := opts.windowsTarget()
		if err != nil {
			return err
		}
		if _, err := os.Stat(opts.Local); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		first := fmt.Sprintf("%s %s %s\n", lineTarget, inBase64(target), tempPrefix+rand.Text())
		read, write := io.Pipe()
		said := &tail{}
		run := RunOptions{Command: copyCommand(uploadPS1), Unwrapped: true, Stdin: read, Stdout: said}
		err = tarRun(ctx, c, run, func(error) { _ = read.CloseWithError(errRunEnded) }, func() error {
			to := newLineSink(write, first)
			err := transfer(ctx, localSource(opts.Local), to, opts.Progress)
			if err == nil {
				err = to.commit()
			}
			_ = write.CloseWithError(err)
			return err
		})
		if err == nil && said.String() != saidWhole {
			err = errNotConfirmed
		}
		if err != nil { // the script may have been killed before it could remove the folder. Without a commit, it removes it.
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), windowsRemoveTime)
			defer cancel()
			_ = c.Run(end, RunOptions{Command: copyCommand(uploadPS1), Unwrapped: true, Stdin: strings.NewReader(first)})
		}
		return err
	}())
}

// errNotConfirmed means that something else than our script ran.
var errNotConfirmed = errors.New("PowerShell on the instance ended without an error and did not confirm that the copy is whole: check that it runs scripts there")

// lineSink writes a copy as lines. They are collected, because each Write is a request.
type lineSink struct {
	to   *bufio.Writer
	sum  hash.Hash
	out  io.Writer // both
	read []byte
	line []byte
}

// maxContent is how much of a file one line holds, in bytes. .NET puts a string of 85,000 bytes or more, and a character has two, into a heap that it seldom cleans, and the
// memory of a remote shell is limited.
const maxContent = 30 << 10

func newLineSink(to io.Writer, first string) *lineSink {
	s := &lineSink{to: bufio.NewWriterSize(to, winrm.MaxChunk), sum: sha256.New(), read: make([]byte, maxContent)}
	s.out = io.MultiWriter(s.to, s.sum)
	s.line = append(s.line, first...)
	return s
}

// put implements sink.
func (s *lineSink) put(e entry) error {
	name := path.Join(dataName, e.name)
	if err := windowsName(name); err != nil {
		return &fs.PathError{Op: "copy", Path: e.name, Err: err}
	}
	switch {
	case e.mode.Type() == fs.ModeSymlink:
		return &fs.PathError{Op: "copy", Path: e.name, Err: errWindowsLink}
	case e.mode.IsDir():
		return s.write(lineFolder, []byte(name))
	}
	if err := s.write(lineFile, []byte(name)); err != nil {
		return err
	}
	for {
		n, err := io.ReadFull(e.body, s.read)
		if n > 0 {
			if err := s.write(lineData, s.read[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// write adds a line with one argument, which it encodes.
func (s *lineSink) write(word string, argument []byte) error {
	s.line = append(append(s.line, word...), ' ')
	s.line = append(base64.StdEncoding.AppendEncode(s.line, argument), '\n')
	_, err := s.out.Write(s.line)
	s.line = s.line[:0]
	return err
}

// commit ends the copy.
func (s *lineSink) commit() error {
	if _, err := fmt.Fprintf(s.to, "%s %s\n", lineCommit, hex.EncodeToString(s.sum.Sum(nil))); err != nil {
		return err
	}
	return s.to.Flush()
}
