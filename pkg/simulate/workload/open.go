package workload

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"strings"
)

// peek is the size of the beginning of a file from which its format is detected.
const peek = 64 << 10

// Open reads a log from a file. Its errors are *Error, and those of Options.Validate.
func Open(path string, o Options) (*Loaded, error) {
	f, err := os.Open(path)
	if err != nil {
		var cause *os.PathError
		if errors.As(err, &cause) {
			err = cause.Err // the message begins with the name already
		}
		return nil, &Error{File: path, Reason: "the workload cannot be opened", Err: err,
			Remedy: "give the path of a log, or a spec such as poisson:rate=0.05/s,duration=exp:600s,jobs=100000"}
	}
	defer f.Close()
	return Read(path, f, o)
}

// Read reads a log from r. Errors carry the name. They are *Error, and those of Options.Validate.
func Read(name string, r io.Reader, o Options) (*Loaded, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	in := &input{name: name, o: &o, Reader: bufio.NewReaderSize(r, peek), size: sizeOf(r)}
	if err := in.unzip(); err != nil {
		return nil, err
	}
	format := o.Format
	if format == "" {
		var err error
		if format, err = in.sniff(); err != nil {
			return nil, err
		}
	}
	if format != Taskcluster {
		in.skipMark()
	}
	c := newCollector(in, format)
	if err := readers[format](in, c); err != nil {
		return nil, err
	}
	return c.finish()
}

// sizeOf is the number of bytes of a reader, 0 if unknown.
func sizeOf(r io.Reader) int {
	switch r := r.(type) {
	case *os.File:
		if info, err := r.Stat(); err == nil && info.Mode().IsRegular() {
			return int(info.Size())
		}
	case interface{ Len() int }:
		return r.Len()
	}
	return 0
}

// readers are the readers of the formats.
var readers = map[string]func(in *input, c *collector) error{
	CSV: readCSV, JSONLines: readJSONLines, GitLab: readGitLab, GitHub: readGitHub, SWF: readSWF, Taskcluster: readTaskcluster,
}

// input is the bytes of a log.
type input struct {
	*bufio.Reader
	name    string
	o       *Options
	sniffed bool // the format was guessed
	size    int  // in bytes; 0: unknown
}

// fail makes an error about the file.
func (in *input) fail(line int, offset int64, err error, reason, remedy string) error {
	return &Error{File: in.name, Line: line, Offset: offset, Reason: reason, Remedy: remedy, Err: err}
}

// broken is the error of a reader that got err at some place of the file.
func (in *input) broken(line int, offset int64, err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return in.fail(line, offset, nil, "the file ends in the middle: it was truncated", "copy it again")
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		return in.fail(line, offset, err, "the compressed file is damaged", "copy it again")
	}
	return in.fail(line, offset, err, "the file cannot be read", "")
}

func (in *input) unzip() error {
	magic, err := in.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return in.broken(0, 0, err)
	}
	if len(magic) < 2 || magic[0] != 0x1f || magic[1] != 0x8b {
		return nil
	}
	z, err := gzip.NewReader(in.Reader)
	if err != nil {
		return in.broken(0, 0, err)
	}
	in.Reader, in.size = bufio.NewReaderSize(z, peek), 0
	return nil
}

// skipMark skips a byte order mark of UTF-8.
func (in *input) skipMark() {
	if head, _ := in.Peek(3); bytes.Equal(head, []byte("\ufeff")) {
		_, _ = in.Discard(3)
	}
}

// sniff detects the format from the beginning of the file.
func (in *input) sniff() (string, error) {
	head, err := in.Peek(peek)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", in.broken(0, 0, err)
	}
	in.sniffed = true
	head = bytes.TrimPrefix(head, []byte("\ufeff"))
	if bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) {
		return "", in.fail(0, 0, nil, "the text is UTF-16", "save it as UTF-8")
	}
	if !isText(head) {
		return Taskcluster, nil
	}
	text := bytes.TrimLeft(head, " \t\r\n")
	if len(text) == 0 {
		return "", in.fail(0, 0, nil, "the workload is empty", "give a log with at least one job")
	}
	switch text[0] {
	case ';':
		return SWF, nil
	case '{', '[':
		return sniffJSON(text), nil
	}
	first, _, _ := bytes.Cut(text, []byte{'\n'})
	line := string(first)
	switch fields := strings.Fields(line); {
	case len(fields) >= 11 && allNumbers(fields):
		return SWF, nil
	case strings.ContainsAny(line, ",;\t"):
		return CSV, nil
	}
	return "", in.fail(1, 0, nil, "the format of the workload is not recognised",
		"give one of "+strings.Join(formats(), ", ")+" and name it (--format-in), or a spec such as poisson:rate=0.05/s,duration=exp:600s,jobs=1000")
}

// isText reports whether the beginning of a file is text, in UTF-8 or an 8-bit encoding: it has no byte that never occurs in text. A binary
// trace has such bytes in its first job, because the high bytes of its numbers are 0.
func isText(head []byte) bool {
	for _, b := range head {
		if b < 0x20 && b != '\t' && b != '\n' && b != '\r' && b != '\f' {
			return false
		}
	}
	return true
}
