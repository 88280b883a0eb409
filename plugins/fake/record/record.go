// Package record is the account that the fake provider's instances keep of what ran when. Demonstrations, tests and checkers read it:
// it is written by the machines themselves, so it tells the truth about the manager that used them.
//
// Every instance has one file of JSON lines, appended to and never changed. The files are 0600: they hold the commands that ran.
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

// Suffix ends the name of every record file; the name before it is the instance's id.
const Suffix = ".jsonl"

// Event is what happened.
type Event string

// The events. The last five end an instance: exactly one of them is the last of its kind in a complete file.
const (
	Created      Event = "created"       // the create made it; it boots
	Booted       Event = "booted"        // it serves SSH
	BootFailed   Event = "boot_failed"   // it will never run, and waits to be deleted
	CommandStart Event = "command_start" //
	CommandEnd   Event = "command_end"   // the command and its process group are gone
	Reclaiming   Event = "reclaiming"    // the notice of a spot reclaim: it serves on, until its notice is over
	Deleting     Event = "deleting"      // it was asked to go: it serves no more. What still runs is ended now, and its end stands after this
	Deleted      Event = "deleted"       // gone because it was asked to
	Reclaimed    Event = "reclaimed"     // gone by a spot reclaim
	Vanished     Event = "vanished"      // gone as its failed boot wanted it
	Expired      Event = "expired"       // gone because its life limit was reached
	Died         Event = "died"          // gone because its process was killed; another process noticed
)

// Ends reports whether the instance is gone with this event.
func (e Event) Ends() bool {
	return slices.Contains([]Event{Deleted, Reclaimed, Vanished, Expired, Died}, e)
}

// Entry is one line.
type Entry struct {
	Time     time.Time `json:"time"` // wall clock
	Event    Event     `json:"event"`
	Instance string    `json:"instance"` // the instance's id
	Number   uint64    `json:"number"`   // its number in the group, which its luck depends on
	PID      int       `json:"pid,omitempty"`
	Address  string    `json:"address,omitempty"` // booted: where it serves SSH

	// Of commands. Key, Slot and Use come from the variables TASKSCALER_KEY, TASKSCALER_SLOT and TASKSCALER_USE that the caller set;
	// empty where it set none.
	Exec     uint64 `json:"exec,omitempty"` // number of the command on this instance, from 1: ties an end to its start
	Key      string `json:"key,omitempty"`
	Slot     string `json:"slot,omitempty"`
	Use      string `json:"use,omitempty"`
	Command  string `json:"command,omitempty"`
	ExitCode *int   `json:"exit_code,omitempty"` // command_end: absent when a signal ended it
	Signal   string `json:"signal,omitempty"`    // command_end: e.g. "KILL"

	Reason string `json:"reason,omitempty"` // why, in words
}

// Writer appends to an instance's file. Each entry is one write, so that several processes can append.
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

// Write appends e with the time, which is now unless e has one, and the instance.
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

// Read reads one file. A last line that is not complete was cut off by the end of its writer, or is being written: it is left out.
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

// ReadDir reads every record in dir, the value of record_dir, and returns the entries by time; those of one instance keep their order
// where times are equal.
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
