package connector

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // the script
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"unicode/utf8"
)

//go:embed winrmdownload.ps1
var downloadPS1 string

// downloadPowerShell is Download by PowerShell.
func downloadPowerShell(ctx context.Context, c Client, opts CopyOptions) error {
	return opts.failed(ctx, false, func() error {
		remote, err := windowsPath(opts.Remote)
		if err != nil {
			return err
		}
		target, err := opts.windowsLocal(remote)
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		to, err := newLocalSink(target)
		if err != nil {
			return err
		}
		defer to.remove()
		read, write := io.Pipe()
		run := RunOptions{Command: copyCommand(downloadPS1), Unwrapped: true, Stdin: strings.NewReader(inBase64(remote) + "\n"), Stdout: write}
		if err := tarRun(ctx, c, run, func(err error) { _ = write.CloseWithError(err) }, func() error {
			err := transfer(ctx, lineSource(read), to, opts.Progress)
			_ = read.CloseWithError(err)
			return err
		}); err != nil {
			return err
		}
		return to.commit()
	}())
}

// windowsLocal returns the path of the target on this machine. remote is the path of the source. A drive has no name that a folder could get.
func (o CopyOptions) windowsLocal(remote string) (string, error) {
	if strings.HasSuffix(remote, ":/") && strings.HasSuffix(o.Local, "/") {
		return "", errNoName
	}
	return o.withSlashes().localTarget()
}

// Windows has no permissions of this kind.
const (
	windowsFolder = fs.ModeDir | 0o755
	windowsFile   = 0o644
)

// lineSource reads the lines of winrmdownload.ps1.
func lineSource(from io.Reader) source {
	return func(put func(entry) error) error {
		r := &lineReader{in: bufio.NewReaderSize(from, maxLine), sum: sha256.New()}
		for first := true; ; first = false {
			word, rest, err := r.next()
			if err != nil {
				return err
			}
			if word == lineEnd {
				return r.end(rest, first)
			}
			e, err := r.entry(word, rest)
			if err != nil {
				return err
			}
			if err := put(e); err != nil {
				return err
			}
		}
	}
}

// maxLine bounds a line, in bytes. One of data has 40 KiB. maxName bounds a name: Windows PowerShell knows only paths of up to 259 characters.
const (
	maxLine = 64 << 10
	maxName = 1 << 10
)

// lineReader reads the lines of a download.
type lineReader struct {
	in   *bufio.Reader
	sum  hash.Hash // of all lines that were read, without the last one
	line []byte    // valid until the next one is read
	held bool      // line is the next one
	data []byte    // of the last line with data
}

// broken returns the error of lines that no script of ours writes.
func broken(format string, args ...any) error {
	return &archiveError{fmt.Errorf("the instance sent "+format, args...)}
}

// next returns the word of the next line, and the rest of it, which is valid until the next call.
func (r *lineReader) next() (word string, rest []byte, err error) {
	if !r.held {
		if r.line != nil {
			r.sum.Write(r.line)
			r.sum.Write([]byte{'\n'})
		}
		line, err := r.in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return "", nil, broken("a line of more than %d bytes", maxLine)
		case errors.Is(err, io.EOF):
			return "", nil, broken("a copy that ends too early")
		case err != nil:
			return "", nil, &archiveError{fmt.Errorf("read what the instance sent: %w", err)}
		}
		r.line = bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'})
	}
	r.held = false
	before, rest, _ := bytes.Cut(r.line, []byte{' '})
	return string(before), rest, nil
}

// entry returns the entry of a line.
func (r *lineReader) entry(word string, rest []byte) (e entry, err error) {
	encoded, size, sized := strings.Cut(string(rest), " ")
	name, err := base64.StdEncoding.Strict().DecodeString(encoded)
	switch {
	case word != lineFolder && word != lineFile:
		return e, broken("%.40q, where a file or folder must begin", r.line)
	case err != nil:
		return e, broken("a name that is no base64: %v", err)
	case len(name) > maxName:
		return e, broken("a name of %d bytes", len(name))
	case !utf8.Valid(name):
		return e, broken("the name %q, which is not UTF-8", name)
	}
	e = entry{name: entryName(string(name)), mode: windowsFolder}
	if word == lineFolder {
		return e, nil
	}
	if e.size, err = strconv.ParseInt(size, 10, 64); !sized || err != nil || e.size < 0 {
		return e, broken("%.40q as the size of %q", size, name)
	}
	e.mode, e.body = windowsFile, &lineBody{from: r}
	return e, nil
}

// end checks that all lines have arrived, and nothing more.
func (r *lineReader) end(sum []byte, empty bool) error {
	if empty {
		return broken("neither a file nor a folder")
	}
	want := hex.EncodeToString(r.sum.Sum(nil))
	if !strings.EqualFold(want, string(sum)) {
		return broken("a copy that was changed on its way")
	}
	switch _, err := r.in.ReadByte(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return &archiveError{fmt.Errorf("read what the instance sent: %w", err)}
	}
	return broken("more after the end of the copy")
}

// lineBody is the content of a file: the lines of data that come next.
type lineBody struct {
	from *lineReader
	left []byte // what was decoded and not yet read
	over bool
}

// Read implements io.Reader.
func (b *lineBody) Read(p []byte) (int, error) {
	if len(b.left) == 0 && !b.over {
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	if b.over {
		return 0, io.EOF
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}

// next decodes the next line, if it has data.
func (b *lineBody) next() error {
	word, rest, err := b.from.next()
	if err != nil {
		return err
	}
	if word != lineData {
		b.over, b.from.held = true, true
		return nil
	}
	b.left, err = base64.StdEncoding.Strict().AppendDecode(b.from.data[:0], rest)
	b.from.data = b.left
	switch {
	case err != nil:
		return broken("data that are no base64: %v", err)
	case len(b.left) == 0:
		return broken("a line without data")
	}
	return nil
}
