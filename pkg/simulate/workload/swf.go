package workload

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// The fields of the Standard Workload Format, version 2.2, that are read, from 0.
const (
	swfSubmit    = 1
	swfWait      = 2
	swfRun       = 3
	swfStatus    = 10
	swfApp       = 13
	swfQueue     = 14
	swfPartition = 15
	swfFields    = 18
)

// Values of the status field.
const (
	swfPartial   = 2 // one part of a swapped-out job; another line describes the whole job
	swfLastDone  = 3
	swfLastDied  = 4
	swfCancelled = 5
)

// swf reads one file.
type swf struct {
	c      *collector
	start  int64             // UnixStartTime in ns
	queues map[string]string // names of the queues
	fields [swfFields]float64
	row    row
}

func readSWF(in *input, c *collector) error {
	s := &swf{c: c, queues: map[string]string{}}
	c.zero = true
	for line := 1; ; line++ {
		text, whole, err := readLine(in)
		if err != nil {
			return in.broken(line, 0, err)
		}
		text = bytes.TrimSpace(text)
		switch {
		case len(text) == 0:
		case text[0] == ';':
			s.header(string(text[1:]))
		default:
			why := s.parse(text)
			if why == swfShort && !whole {
				return in.fail(line, 0, nil, "the file ends in the middle of a line: it was truncated", "copy it again")
			}
			s.row.at = line
			if why != "" {
				c.drop(line, why)
			} else {
				c.add(&s.row)
			}
		}
		if !whole {
			return nil
		}
	}
}

// header reads a comment: the start of the log and the names of the queues.
func (s *swf) header(text string) {
	key, value, _ := strings.Cut(text, ":")
	switch key, value = strings.TrimSpace(key), strings.TrimSpace(value); key {
	case "UnixStartTime":
		if v, err := strconv.ParseInt(value, 10, 64); err == nil && v > 0 && v < math.MaxInt64/int64(2*time.Second) && s.c.rows == 0 {
			s.start, s.c.calendar = v*int64(time.Second), true
		}
	case "Queue":
		if f := strings.Fields(value); len(f) > 1 && len(s.queues) < maxTags {
			s.queues[f[0]] = f[1]
		}
	}
}

const swfShort = "it has fewer than the 18 fields of the format"

// parse reads a line into s.row, or returns why it is not a job.
func (s *swf) parse(line []byte) string {
	fields := strings.Fields(string(line))
	if len(fields) < swfFields {
		return swfShort
	}
	for i := range s.fields {
		v, err := strconv.ParseFloat(fields[i], 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return "a field is not a number"
		}
		s.fields[i] = v
	}
	const most = float64(math.MaxInt64/2) / 1e9
	f := &s.fields
	switch {
	case f[swfStatus] == swfPartial || f[swfStatus] == swfLastDone || f[swfStatus] == swfLastDied:
		return "it is one part of a swapped-out job, and another line describes the whole job"
	case f[swfSubmit] < 0:
		return "the submit time is unknown"
	case f[swfSubmit] > most:
		return "the submit time is out of range"
	case f[swfStatus] == swfCancelled && f[swfRun] <= 0:
		return "it was cancelled before it ran"
	case f[swfRun] == -1:
		return whyUnknown
	}
	s.row = row{arrival: s.start + seconds(f[swfSubmit]), duration: seconds(f[swfRun]), wait: seconds(f[swfWait])}
	if f[swfQueue] >= 0 {
		if s.row.tags = s.queues[fields[swfQueue]]; s.row.tags == "" {
			s.row.tags = "queue-" + fields[swfQueue]
		}
	}
	s.row.name = fields[swfApp]
	s.row.runner = fields[swfPartition : swfPartition+1]
	return ""
}

// seconds converts seconds to ns. A value out of range becomes the nearest valid one.
func seconds(v float64) int64 {
	ns := math.Round(v * 1e9)
	switch {
	case ns >= math.MaxInt64:
		return math.MaxInt64
	case ns <= math.MinInt64:
		return math.MinInt64
	}
	return int64(ns)
}

func allNumbers(fields []string) bool {
	for _, f := range fields {
		if _, err := strconv.ParseFloat(f, 64); err != nil {
			return false
		}
	}
	return true
}

// readLine returns the next line without its end. whole is false for a last line without a line end, which includes the empty one after the
// last line. The bytes are valid until the next call.
func readLine(in *input) (line []byte, whole bool, err error) {
	line, err = in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		head := bytes.Clone(line)
		var rest []byte
		rest, err = in.ReadBytes('\n')
		line = append(head, rest...)
	}
	switch {
	case err == nil:
		return line[:len(line)-1], true, nil
	case errors.Is(err, io.EOF):
		return line, false, nil
	}
	return nil, false, err
}
