// Package record reads and writes the records of the fake provider's instances: what ran on each instance, and when. Tests and demonstrations
// use them to check the manager, because the instances write them, and not the manager.
//
// Each instance has one file of JSON lines. Lines are only appended. The mode of the files is 0600, because they hold the commands that ran.
package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Suffix is the end of the name of each record file. The part before it is the id of the instance.
const Suffix = ".jsonl"

// Event is the kind of an entry.
type Event string

// The events. The last five end an instance. A complete file has exactly one of them.
const (
	Created      Event = "created"       // it was created and boots
	Booted       Event = "booted"        // it serves SSH
	BootFailed   Event = "boot_failed"   // its boot failed; it stays until it is deleted
	CommandStart Event = "command_start" // a command was started
	CommandEnd   Event = "command_end"   // the command and its process group are gone
	Reclaiming   Event = "reclaiming"    // the notice of a spot reclaim; it still serves SSH until the notice period ends
	Deleting     Event = "deleting"      // it was deleted and no longer serves SSH; running commands are ended now, and their ends are recorded after this event
	Deleted      Event = "deleted"       // gone because it was deleted
	Reclaimed    Event = "reclaimed"     // gone by a spot reclaim
	Vanished     Event = "vanished"      // gone because its boot failed that way
	Expired      Event = "expired"       // gone because its life limit was reached
	Died         Event = "died"          // gone because its process was killed; another process recorded this
)

// Ends reports whether the instance is gone after this event.
func (e Event) Ends() bool {
	return slices.Contains([]Event{Deleted, Reclaimed, Vanished, Expired, Died}, e)
}

// Entry is one line of a record.
type Entry struct {
	Time     time.Time `json:"time"` // wall clock
	Event    Event     `json:"event"`
	Instance string    `json:"instance"` // id of the instance
	Number   uint64    `json:"number"`   // number of the instance in the group; its random values depend on it
	PID      int       `json:"pid,omitempty"`
	Address  string    `json:"address,omitempty"` // booted: where it serves SSH

	// The fields of commands. Key, Slot and Use are the variables TASKSCALER_KEY, TASKSCALER_SLOT and TASKSCALER_USE, if the caller set
	// them.
	Exec     uint64 `json:"exec,omitempty"` // number of the command on this instance, starting at 1; the same in its start and its end
	Key      string `json:"key,omitempty"`
	Slot     string `json:"slot,omitempty"`
	Use      string `json:"use,omitempty"`
	Command  string `json:"command,omitempty"`
	ExitCode *int   `json:"exit_code,omitempty"` // command_end: nil if a signal ended it
	Signal   string `json:"signal,omitempty"`    // command_end: e.g. "KILL"

	Reason string `json:"reason,omitempty"` // why, in words
}

// Writer appends entries to the record of an instance. Each entry is one write call, so that several processes can append.
type Writer struct {
	file     *os.File
	instance string
	number   uint64
}

// Open opens or creates the record at path for the instance.
func Open(path, instance string, number uint64) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the record: %w", err)
	}
	return &Writer{file: f, instance: instance, number: number}, nil
}

// Write appends e. It sets the instance, and the time if it is zero.
func (w *Writer) Write(e Entry) error {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Instance, e.Number = w.instance, w.number
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode a record: %w", err)
	}
	if _, err := w.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	return nil
}

// Close closes the file.
func (w *Writer) Close() error { return w.file.Close() }

// Read reads one record. It ignores an incomplete last line: its writer was killed, or is still writing.
func Read(r io.Reader) ([]Entry, error) {
	var entries []Entry
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return entries, fmt.Errorf("read the record: %w", err)
		}
		var e Entry
		dec := json.NewDecoder(bytes.NewReader(line))
		if err := dec.Decode(&e); err != nil {
			return entries, fmt.Errorf("line %d of the record: %w", n, err)
		}
		entries = append(entries, e)
	}
}

// ReadFile reads the file at path.
func ReadFile(path string) ([]Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := Read(f)
	if err != nil {
		return entries, fmt.Errorf("%s: %w", path, err)
	}
	return entries, nil
}

// ReadDir reads every record in dir, the value of record_dir, and returns the entries sorted by time. Entries of one instance with equal
// times keep their order.
func ReadDir(dir string) ([]Entry, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []Entry
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), Suffix) {
			continue
		}
		entries, err := ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return a.Time.Compare(b.Time) })
	return all, nil
}
