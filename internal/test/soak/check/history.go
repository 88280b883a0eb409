package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// History is all the evidence.
type History struct {
	Records []Record // one for each instance
	Log     []Entry  // the driver's log, in the order of writing
}

// Record is what one instance wrote, in order.
type Record struct {
	Instance string
	Entries  []record.Entry
}

// Load reads the record files of a folder and the driver's log.
func Load(records, log string) (*History, error) {
	h := &History{}
	files, err := filepath.Glob(filepath.Join(records, "*"+record.Suffix))
	if err != nil {
		return nil, err
	}
	for _, path := range files { // sorted by Glob
		entries, err := record.ReadFile(path)
		if err != nil {
			return nil, err
		}
		h.Records = append(h.Records, Record{Instance: strings.TrimSuffix(filepath.Base(path), record.Suffix), Entries: entries})
	}
	f, err := os.Open(log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if h.Log, err = ReadLog(f); err != nil {
		return nil, fmt.Errorf("%s: %w", log, err)
	}
	return h, nil
}

// Violation is a broken rule, with the lines that prove it.
type Violation struct {
	Rule  string // the name of the rule, see the package comment
	Text  string
	Lines []string // of the records and of the log, each with its position; of the first occurrence
	Times int      // number of occurrences: several statuses can show the same violation
}

// String is the violation as text with several lines.
func (v Violation) String() string {
	again := ""
	if v.Times > 1 {
		again = fmt.Sprintf(" (and %d times more)", v.Times-1)
	}
	return v.Rule + ": " + v.Text + again + "\n    " + strings.Join(v.Lines, "\n    ")
}

// Figures is the size of the soak, from the evidence.
type Figures struct {
	Jobs      int // jobs that were requested
	OK        int // jobs that were told their own exit code
	Lost      int // jobs that were told that their lease or connection was lost, or that their command was killed with its instance
	Refused   int
	Killed    int // jobs whose client was killed
	Cancelled int

	Instances, Commands, Statuses int
	Ends                          map[record.Event]int // how instances ended
	Kills                         map[Event]int        // by kind
	Restarts                      int                  // managers after the first
	LongestJob                    time.Duration        // from the request to the answer
	Left                          int                  // things that were left behind
}

// TotalKills is the number of times that something was killed, cancelled, frozen or broken.
func (f *Figures) TotalKills() (n int) {
	for _, k := range violent {
		n += f.Kills[k]
	}
	return n
}

// violent are the events that count as kills.
var violent = []Event{ManagerKilled, PluginKilled, PluginFrozen, ClientKilled, ClientCancelled, MachineKilled, MachineBroken}

// command is a command of a job on an instance.
type command struct {
	on             *machine
	start          int // index in the record
	end            int // the same; −1: it has no end of its own
	key, slot, use string
}

// machine is an instance, as its record shows it.
type machine struct {
	Record
	commands []*command // commands with a key
	finish   int        // index of the entry that ended it; −1: none
}

// at is the entry at an index.
func (m *machine) at(i int) record.Entry { return m.Entries[i] }

// has returns the index of the first entry of one of these kinds, or -1.
func (m *machine) has(kinds ...record.Event) int {
	for i, e := range m.Entries {
		for _, k := range kinds {
			if e.Event == k {
				return i
			}
		}
	}
	return -1
}

// line is an entry of the record as evidence.
func (m *machine) line(i int) string {
	raw, err := json.Marshal(m.Entries[i])
	if err != nil {
		raw = []byte(err.Error())
	}
	return fmt.Sprintf("%s%s:%d %s", m.Instance, record.Suffix, i+1, brief(string(raw)))
}

func (c *command) startLine() string        { return c.on.line(c.start) }
func (c *command) startTime() time.Time     { return c.on.at(c.start).Time }
func (c *command) lease() (lease [3]string) { return [3]string{c.on.Instance, c.slot, c.use} }

// lines are the start and what ended the command.
func (c *command) lines() []string {
	lines := []string{c.startLine()}
	if c.end >= 0 {
		lines = append(lines, c.on.line(c.end))
	} else if c.on.finish >= 0 {
		lines = append(lines, c.on.line(c.on.finish))
	}
	return lines
}

// endTime is when the command had certainly ended. ok is false if the record does not say.
func (c *command) endTime() (at time.Time, ok bool) {
	switch {
	case c.end >= 0:
		return c.on.at(c.end).Time, true
	case c.on.finish >= 0:
		return c.on.at(c.on.finish).Time, true
	}
	return time.Time{}, false
}

// exited reports whether the command itself ended, with this code.
func (c *command) exited() (code int, ok bool) {
	if c.end < 0 || c.on.at(c.end).ExitCode == nil {
		return 0, false
	}
	return *c.on.at(c.end).ExitCode, true
}

// wasKilled reports whether the record says that SIGKILL ended the command. Only its machine sends this signal to a whole command.
func (c *command) wasKilled() bool { return c.end >= 0 && c.on.at(c.end).Signal == "KILL" }

// job is a job, as the driver's log shows it. The numbers are indices into the log, −1 if there is no such entry.
type job struct {
	key                            string
	asked, told, killed, cancelled int
	commands                       []*command
}

func itoa(n int) string { return strconv.Itoa(n) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
