package check

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Event is what happened, as the driver saw it.
type Event string

// The events. Those of a violent kind are written before the signal is sent, so that nothing that follows from it is earlier.
const (
	Begin           Event = "begin"            // the first entry; has Limits
	Asked           Event = "asked"            // a job's client is about to be started
	Told            Event = "told"             // a job's client has ended, and what it said
	ClientKilled    Event = "client_killed"    // a job's client gets SIGKILL
	ClientCancelled Event = "client_cancelled" // a job's client gets SIGINT
	ManagerStarted  Event = "manager_started"  // a manager is about to be started
	ManagerServes   Event = "manager_serves"   // it has answered its first status with the provider's list taken in
	ManagerKilled   Event = "manager_killed"   // it gets SIGKILL
	ManagerStopped  Event = "manager_stopped"  // it gets SIGTERM
	ManagerEnded    Event = "manager_ended"    // it has ended; has Code
	PluginKilled    Event = "plugin_killed"    // the plugin gets SIGKILL
	PluginFrozen    Event = "plugin_frozen"    // the plugin gets SIGSTOP
	PluginThawed    Event = "plugin_thawed"    // the plugin gets SIGCONT
	MachineKilled   Event = "machine_killed"   // an instance's process gets SIGKILL
	MachineBroken   Event = "machine_broken"   // an instance is declared unhealthy
	StatusAnswered  Event = "status"           // an answer of status; has Status
	End             Event = "end"              // the last entry; has Left
)

// Entry is one line of the driver's log.
type Entry struct {
	Time  time.Time `json:"time"` // wall clock
	Event Event     `json:"event"`

	Limits *Limits `json:"limits,omitempty"`

	// Of jobs.
	Key    string `json:"key,omitempty"`
	Nonce  string `json:"nonce,omitempty"`  // asked: what the command prints as its only line; it stands in the command
	Want   int    `json:"want,omitempty"`   // asked: the command's exit code
	Code   *int   `json:"code,omitempty"`   // told, manager_ended: the process's exit code; absent: a signal ended it
	Output string `json:"output,omitempty"` // told: standard output
	Notes  string `json:"notes,omitempty"`  // told: the end of standard error
	Kept   bool   `json:"kept,omitempty"`   // told: the client said that it could not give its slot back

	PID      int     `json:"pid,omitempty"`      // of who was started or gets the signal
	Instance string  `json:"instance,omitempty"` // machine_killed, machine_broken
	Status   *Status `json:"status,omitempty"`
	Left     *Left   `json:"left,omitempty"`
}

// Limits are what the configuration allows.
type Limits struct {
	Capacity     int    `json:"capacity"`
	MaxUses      int    `json:"max_uses"` // 0: no limit
	MaxInstances int    `json:"max_instances"`
	Keep         bool   `json:"keep,omitempty"` // keep_instance_with_acquisitions
	Seed         uint64 `json:"seed"`
}

// Left lists what was found after the shutdown, in words.
type Left struct {
	Processes []string `json:"processes,omitempty"`
	Folders   []string `json:"folders,omitempty"`   // of instances
	Instances []string `json:"instances,omitempty"` // in the state directory, neither gone nor lost
	Leases    []string `json:"leases,omitempty"`    // in the state directory
	Intents   []string `json:"intents,omitempty"`   // in the state directory: creates that may still bring an instance
}

// Count is the number of things left.
func (l *Left) Count() int {
	return len(l.Processes) + len(l.Folders) + len(l.Instances) + len(l.Leases) + len(l.Intents)
}

// Status is what the checker reads of `taskscaler status --json`.
type Status struct {
	Asked     time.Time        `json:"asked"` // before the question was sent; the entry's time is after the answer
	Stale     bool             `json:"stale,omitempty"`
	Starting  bool             `json:"starting,omitempty"` // the manager was still starting its plugin, so it had no instances to show
	Started   bool             `json:"started"`
	Instances []StatusInstance `json:"instances"`
}

// StatusInstance is one instance of a Status.
type StatusInstance struct {
	ID     string        `json:"id"`
	State  string        `json:"state"`
	Uses   int           `json:"uses,omitempty"`
	Cause  string        `json:"cause,omitempty"`
	Leases []StatusLease `json:"leases,omitempty"`
}

// StatusLease is one lease of a StatusInstance.
type StatusLease struct {
	Key      string `json:"key"`
	Slot     int    `json:"slot"`
	Detached bool   `json:"detached,omitempty"`
}

// ParseStatus reads the output of `taskscaler status --json` for a manager with one runner.
func ParseStatus(raw []byte, asked time.Time) (*Status, error) {
	var answer struct {
		Runners []struct {
			Fleet    *Status `json:"fleet"`
			Starting bool    `json:"starting"`
		} `json:"runners"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, fmt.Errorf("read the status: %w", err)
	}
	if len(answer.Runners) == 1 && answer.Runners[0].Starting && answer.Runners[0].Fleet == nil {
		return &Status{Asked: asked, Starting: true}, nil
	}
	if len(answer.Runners) != 1 || answer.Runners[0].Fleet == nil {
		return nil, fmt.Errorf("the status is not of one runner with a fleet: %s", brief(string(raw)))
	}
	s := answer.Runners[0].Fleet
	s.Asked = asked
	return s, nil
}

// ReadLog reads the driver's log. It ignores an incomplete last line: the driver was stopped while it wrote it.
func ReadLog(r io.Reader) ([]Entry, error) {
	var entries []Entry
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return entries, fmt.Errorf("read the log: %w", err)
		}
		var e Entry
		if err := json.NewDecoder(bytes.NewReader(line)).Decode(&e); err != nil {
			return entries, fmt.Errorf("line %d of the log: %w", n, err)
		}
		entries = append(entries, e)
	}
}

// brief shortens a text for a message.
func brief(text string) string {
	const most = 700
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
