package check

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

func rules(all []Violation) (names []string) {
	for _, v := range all {
		if !slices.Contains(names, v.Rule) {
			names = append(names, v.Rule)
		}
	}
	return names
}

func TestGood(t *testing.T) {
	found, f := Check(good())
	for _, v := range found {
		t.Error(v)
	}
	if f.Jobs != 8 || f.OK != 3 || f.Lost != 2 || f.Refused != 1 || f.Killed != 1 || f.Cancelled != 1 {
		t.Errorf("jobs: %+v", f)
	}
	if f.Instances != 5 || f.Commands != 7 || f.Restarts != 1 || f.TotalKills() != 4 || f.Left != 0 || f.Ends[record.Deleted] != 3 {
		t.Errorf("figures: %+v", f)
	}
}

// TestDoctored: each doctoring of the small history is found under its rule, with lines that prove it.
func TestDoctored(t *testing.T) {
	covered := map[string]bool{}
	for _, d := range doctorings {
		t.Run(d.name, func(t *testing.T) {
			for seed := range uint64(20) { // every place that it may pick
				h := clone(good())
				if !d.spoil(h, rand.New(rand.NewPCG(seed, 0))) {
					t.Fatal("there was nothing to spoil")
				}
				found, _ := Check(h)
				i := slices.IndexFunc(found, func(v Violation) bool { return v.Rule == d.rule })
				if i < 0 {
					t.Fatalf("found %v, not %s: %v", rules(found), d.rule, found)
				}
				if len(found[i].Lines) == 0 || !strings.Contains(found[i].String(), d.rule+": ") {
					t.Errorf("it proves nothing: %s", found[i])
				}
			}
		})
		covered[d.rule] = true
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(doc), "\n") {
		if rest, ok := strings.CutPrefix(line, "//\t"); ok && !strings.HasPrefix(rest, " ") {
			if rule := strings.Fields(rest)[0]; !covered[rule] {
				t.Errorf("no doctoring for the rule %s", rule)
			}
		}
	}
}

// TestWhatIsAllowed: histories that look bad and are not.
func TestWhatIsAllowed(t *testing.T) {
	for name, change := range map[string]func(s *story){
		"a second session of the same lease": func(s *story) {
			s.begins("j", "a", 0, 1)
			s.begins("j", "a", 0, 1)
			s.h.Records[0].Entries[3].Command = "ls" // a session beside the job's own
			s.ends("j", "a", "")
			s.h.Records[0].Entries[4].Exec = 1
			s.ends("j", "a", "")
			s.told("j", code(0))
		},
		"a client that is killed when its command has ended": func(s *story) {
			s.begins("j", "a", 0, 1)
			s.ends("j", "a", "")
			s.log(Entry{Event: ClientKilled, Key: "j"})
			s.told("j", nil)
			s.asked("k")
			s.begins("k", "a", 0, 2)
			s.ends("k", "a", "")
			s.told("k", code(0))
		},
		"a lease that could not be given back": func(s *story) {
			s.begins("j", "a", 0, 1)
			s.ends("j", "a", "")
			s.log(Entry{Event: Told, Key: "j", Code: code(0), Output: "NjN\n", Kept: true})
			s.status(ready("a", 1, StatusLease{Key: "j"}))
		},
		"a busy instance whose client was killed": func(s *story) {
			s.begins("j", "a", 0, 1)
			s.log(Entry{Event: ClientKilled, Key: "j"})
			s.told("j", nil)
		},
		"a lease that is lost before its command began": func(s *story) {
			s.log(Entry{Event: MachineBroken, Instance: "a"})
			s.log(Entry{Event: Told, Key: "j", Code: code(codeLost), Notes: "taskscaler: the lease on instance a was lost: unhealthy"})
		},
		"a status of a manager that starts": func(s *story) {
			s.begins("j", "a", 0, 1)
			s.ends("j", "a", "")
			s.told("j", code(0))
			s.log(Entry{Event: ManagerKilled})
			s.events(ManagerStarted)
			asked := s.tick()
			s.log(Entry{Event: StatusAnswered, Status: &Status{Asked: asked, Starting: true}})
			s.events(ManagerServes)
		},
		"a stale status": func(s *story) {
			s.begins("j", "a", 0, 1)
			asked := s.tick()
			s.log(Entry{Event: StatusAnswered, Status: &Status{Asked: asked, Stale: true}})
			s.ends("j", "a", "")
			s.told("j", code(0))
		},
	} {
		s := newStory(limits)
		s.events(ManagerStarted, ManagerServes)
		s.asked("j")
		s.recs("a", record.Created, record.Booted)
		change(s)
		s.recs("a", record.Deleting, record.Deleted)
		found, _ := Check(s.done())
		for _, v := range found {
			t.Errorf("%s: %s", name, v)
		}
	}
}

// TestKeep: with keep_instance_with_acquisitions the slot of a killed client is used again, but not while its command runs.
func TestKeep(t *testing.T) {
	for ended, want := range map[bool]int{true: 0, false: 1} {
		l := limits
		l.Keep = true
		s := newStory(l)
		s.events(ManagerStarted, ManagerServes)
		s.asked("j")
		s.asked("k")
		s.recs("a", record.Created, record.Booted)
		s.begins("j", "a", 0, 1)
		s.log(Entry{Event: ClientKilled, Key: "j"})
		s.told("j", nil)
		if ended {
			s.ends("j", "a", "KILL")
		}
		s.begins("k", "a", 0, 2)
		s.ends("k", "a", "")
		s.told("k", code(0))
		s.recs("a", record.Deleting, record.Deleted)
		if found, _ := Check(s.done()); len(found) != want || want > 0 && found[0].Rule != "slot" {
			t.Errorf("ended %v: %v", ended, found)
		}
	}
}

// TestSameViolation: what several statuses show is one violation.
func TestSameViolation(t *testing.T) {
	s := newStory(limits)
	s.events(ManagerStarted, ManagerServes)
	for range 3 {
		s.status(ready("nobody's", 0))
	}
	found, _ := Check(s.done())
	if len(found) != 1 || found[0].Times != 3 || !strings.Contains(found[0].String(), "it was never created (and 2 times more)\n    log:4 {") {
		t.Errorf("%v", found)
	}
}

func TestNoBeginning(t *testing.T) {
	found, _ := Check(&History{})
	if got := rules(found); !slices.Contains(got, "record") || !slices.Contains(got, "left") {
		t.Errorf("an empty history breaks %v", got)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	h := good()
	records := filepath.Join(dir, "records")
	if err := os.Mkdir(records, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, r := range h.Records {
		w, err := record.Open(filepath.Join(records, r.Instance+record.Suffix), r.Instance, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range r.Entries {
			if err := w.Write(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	for _, e := range h.Log {
		if err := json.NewEncoder(&log).Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	log.WriteString(`{"time":"2026-`) // the driver was cut off
	path := filepath.Join(dir, "log")
	if err := os.WriteFile(path, log.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := Load(records, path)
	if err != nil {
		t.Fatal(err)
	}
	if found, f := Check(read); len(found) > 0 || f.Instances != 5 || f.Jobs != 8 {
		t.Errorf("%v, %+v", found, f)
	}
	if err := os.WriteFile(path, append(log.Bytes(), "garbage\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(records, path); err == nil || !strings.Contains(err.Error(), "line") {
		t.Errorf("%v, want an error that names the line", err)
	}
	if _, err := Load(records, filepath.Join(dir, "nothing")); !os.IsNotExist(err) {
		t.Errorf("%v, want that there is no log", err)
	}
}

// TestStartsAgainWithoutAStart: a manager that has served does not say that it is starting.
func TestStartsAgainWithoutAStart(t *testing.T) {
	s := newStory(Limits{Capacity: 1})
	s.events(ManagerStarted, ManagerServes)
	asked := s.tick()
	s.log(Entry{Event: StatusAnswered, Status: &Status{Asked: asked, Starting: true}})
	found, _ := Check(s.done())
	if len(found) != 1 || !strings.Contains(found[0].String(), "says that it is starting") {
		t.Errorf("found %v", found)
	}
}

func TestParseStatus(t *testing.T) {
	asked := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s, err := ParseStatus([]byte(`{"runners":[{"fleet":{"started":true,"instances":[{"id":"a","state":"ready","uses":2,"leases":[{"key":"k","slot":1}]}]}}]}`), asked)
	if err != nil || !s.Started || !s.Asked.Equal(asked) || len(s.Instances) != 1 || s.Instances[0].Uses != 2 ||
		s.Instances[0].Leases[0] != (StatusLease{Key: "k", Slot: 1}) {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = ParseStatus([]byte(`{"runners":[{"starting":true}]}`), asked); err != nil || !s.Starting || !s.Asked.Equal(asked) {
		t.Errorf("a manager that starts: %+v, %v", s, err)
	}
	for _, bad := range []string{"", "{}", `{"runners":[{}]}`, `{"runners":[{"fleet":{}},{"fleet":{}}]}`} {
		if _, err := ParseStatus([]byte(bad), asked); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func FuzzReadLog(f *testing.F) {
	f.Add([]byte(`{"time":"2026-01-02T03:04:05Z","event":"begin","limits":{"capacity":1}}` + "\n" + `{"event":"told","key":"k"}` + "\n"))
	f.Add([]byte(`{"event":"status","status":{"instances":[{"id":"a","leases":[{"key":"k"}]}]}}` + "\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		entries, err := ReadLog(bytes.NewReader(raw))
		if lines := bytes.Count(raw, []byte("\n")); len(entries) > lines || err == nil && len(entries) != lines {
			t.Fatalf("%d entries of %d lines, %v", len(entries), lines, err)
		}
		Check(&History{Log: entries, Records: good().Records})
	})
}
