package burst

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/taskscaler"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// good is a demonstration without a fault: two instances, one of which is deleted early, and 40 jobs; each slot is used many times.
func good() (observed, []record.Entry) {
	seen := observed{waited: 20, peak: 2, rest: 1}
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	zero := 0
	var entries []record.Entry
	for _, id := range []string{"i-1", "i-2"} {
		entries = append(entries, record.Entry{Time: at(0), Event: record.Created, Instance: id})
	}
	for i := range JobCount {
		j := job{key: fmt.Sprintf("job-%02d", i+1), nonce: fmt.Sprintf("NONCE%02d", i)}
		j.output = j.nonce + "\n"
		seen.jobs = append(seen.jobs, j)
		e := record.Entry{
			Time: at(1 + 2*i), Event: record.CommandStart, Instance: "i-1", Exec: uint64(i + 1), Key: j.key, Slot: "0", Command: "echo " + j.nonce,
		}
		entries = append(entries, e)
		e.Time, e.Event, e.ExitCode = at(2+2*i), record.CommandEnd, &zero
		entries = append(entries, e)
	}
	return seen, append(entries, record.Entry{Time: at(90), Event: record.Deleted, Instance: "i-2"},
		record.Entry{Time: at(101), Event: record.Deleted, Instance: "i-1"})
}

func TestJudge(t *testing.T) {
	stopping := start.Add(100 * time.Second)
	seen, entries := good()
	if verdict, err := judge(seen, entries, stopping); err != nil || verdict != "demo: 40 jobs ok, 2 instances created, 0 left" {
		t.Errorf("%q, %v", verdict, err)
	}
	for fault, spoil := range map[string]func(*observed, *[]record.Entry){
		"printed":                func(s *observed, _ *[]record.Entry) { s.jobs[3].output = "NONCE99\n" },
		"39 of 40 jobs are good": func(s *observed, _ *[]record.Entry) { s.jobs = s.jobs[1:] },
		"exit status 1":          func(s *observed, _ *[]record.Entry) { s.jobs[3].err = fmt.Errorf("exit status 1") },
		"ran 0 times":            func(s *observed, _ *[]record.Entry) { s.jobs[3].key = "other" },
		"without its nonce": func(s *observed, _ *[]record.Entry) {
			s.jobs[3].nonce, s.jobs[3].output = "N", "N\n"
			s.jobs[3].nonce = "N"
		},
		"a different exit":          func(_ *observed, e *[]record.Entry) { one := 1; (*e)[3].ExitCode = &one },
		"no job had to wait":        func(s *observed, _ *[]record.Entry) { s.waited = 0 },
		"1 instances are left: i-1": func(_ *observed, e *[]record.Entry) { *e = (*e)[:len(*e)-1] },
		"did not shrink before":     func(_ *observed, e *[]record.Entry) { (*e)[len(*e)-2].Time = stopping.Add(time.Second) },
		"while \"job-01\" held it":  func(_ *observed, e *[]record.Entry) { (*e)[3].Time = stopping },
		"no slot was used twice": func(_ *observed, e *[]record.Entry) {
			for i := range *e {
				(*e)[i].Slot = fmt.Sprint((*e)[i].Exec)
			}
		},
	} {
		seen, entries := good()
		spoil(&seen, &entries)
		if fault == "without its nonce" {
			for i := range entries {
				if entries[i].Key == seen.jobs[3].key {
					entries[i].Command = "echo something"
				}
			}
		}
		if _, err := judge(seen, entries, stopping); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: %v", fault, err)
		}
	}
}

func status(ready, leases int) *taskscaler.Status {
	f := &taskscaler.Status{}
	f.Group.Capacity = 2
	f.Policy.IdleCount = 1
	f.Counts.ReadyCount, f.Counts.Leases = ready, leases
	f.Instances = []taskscaler.InstanceStatus{
		{ID: "i-1", State: "ready", Leases: []taskscaler.LeaseStatus{{Key: "job-07", Slot: 1}}}, {ID: "i-0", State: "gone"},
	}
	return f
}

func TestFallenBack(t *testing.T) {
	for _, c := range []struct {
		ready, leases int
		want          bool
	}{{1, 0, true}, {2, 0, false}, {1, 1, false}, {0, 0, false}} {
		if got := fallenBack(status(c.ready, c.leases)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestPlainView(t *testing.T) {
	var out bytes.Buffer
	v := newView(&out, nil)
	v.show(status(1, 1), 0)
	v.show(status(1, 1), 0) // no change
	v.show(status(1, 1), 3)
	v.end()
	got := regexp.MustCompile(`(?m)^ *\d+\.\ds  `).ReplaceAllString(out.String(), "")
	want := "job-07 runs on i-1 slot 1\n" +
		"1 instances ready, 0 booting, 0 being deleted; jobs: 1 running, 0 waiting, 0 done\n" +
		"1 instances ready, 0 booting, 0 being deleted; jobs: 1 running, 0 waiting, 3 done\n"
	if got != want {
		t.Errorf("%q", got)
	}
}

func TestTerminalView(t *testing.T) {
	var out bytes.Buffer
	v := newView(&out, func() int { return 58 })
	v.show(status(1, 1), 0)
	first := out.String()
	if !strings.Contains(first, "  i-1 ") || !strings.Contains(first, "[      ] [job-07]") || strings.Contains(first, "i-0") || strings.Contains(first, "running") {
		t.Errorf("%q", first)
	}
	v.show(status(1, 1), 1)
	v.end()
	if rest := out.String()[len(first):]; strings.Count(rest, "\x1b[2A\x1b[J") != 2 || !strings.HasSuffix(rest, "\x1b[2A\x1b[J") {
		t.Errorf("the picture was not erased: %q", rest)
	}
}
