package workload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// record is the size of a job in the format of Taskcluster's provisioning simulator.
const record = 8

// readTaskcluster reads a trace, which has no header. If the format was only guessed, too many arrivals that go back show that the guess
// was wrong.
func readTaskcluster(in *input, c *collector) error {
	c.zero = true
	const remedy = "name the format of the file (--format-in " + CSV + ", " + JSONLines + ", …)"
	buf := make([]byte, 8192*record)
	number, offset := 0, int64(0)
	c.list = make([]simulate.Job, 0, in.size/record)
	plain := len(in.o.Tags)+len(in.o.Runners)+len(in.o.Names) == 0 // the format has no tags, runners or names: without a filter every job is taken
	r := row{wait: -1}
	for {
		n, err := fill(in, buf)
		for b := buf[:n-n%record]; len(b) > 0; b = b[record:] {
			number++
			arrival, duration := int64(binary.BigEndian.Uint32(b))*int64(time.Millisecond), int64(binary.BigEndian.Uint32(b[4:]))*int64(time.Millisecond)
			if plain {
				c.takePlain(arrival, duration)
				continue
			}
			r.at, r.arrival, r.duration = number, arrival, duration
			c.add(&r)
		}
		offset += int64(n)
		if in.sniffed && c.behind*10 > number && number > 0 {
			return in.fail(0, 0, nil, fmt.Sprintf("the file is not text, and not a taskcluster trace either: its times go back %d times in %d jobs",
				c.behind, number), remedy)
		}
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF):
			return in.broken(0, offset, err)
		case offset%record != 0:
			return in.fail(0, offset-offset%record, nil,
				fmt.Sprintf("the file ends in the middle of a job: a taskcluster trace has 8 bytes a job, the last has %d", offset%record),
				"it was truncated: copy it again; or "+remedy)
		default:
			return nil
		}
	}
}

// fill reads until buf is full or the reader fails. It returns the reader's own error, because io.ReadFull reports a short file as
// truncated.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}
