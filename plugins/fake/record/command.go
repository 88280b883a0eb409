package record

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Command is a command with its start and its end.
type Command struct {
	Instance string
	Exec     uint64
	Key      string
	Slot     string
	Use      string
	Command  string
	PID      int
	Start    time.Time
	End      time.Time // zero: it runs, or its instance was killed before it recorded the end
	ExitCode *int      // nil: a signal ended it, or it still runs
	Signal   string
}

// Commands combines the start and the end of each command, in the order of the starts. A command without a recorded end ends with its instance.
func Commands(entries []Entry) []Command {
	type id struct {
		instance string
		exec     uint64
	}
	var all []Command
	at := map[id]int{}
	for _, e := range entries {
		switch {
		case e.Event == CommandStart:
			at[id{e.Instance, e.Exec}] = len(all)
			all = append(all, Command{Instance: e.Instance, Exec: e.Exec, Key: e.Key, Slot: e.Slot, Use: e.Use, Command: e.Command,
				PID: e.PID, Start: e.Time})
		case e.Event == CommandEnd:
			if i, ok := at[id{e.Instance, e.Exec}]; ok {
				all[i].End, all[i].ExitCode, all[i].Signal = e.Time, e.ExitCode, e.Signal
			}
		case e.Event.Ends():
			for i := range all {
				if all[i].Instance == e.Instance && all[i].End.IsZero() {
					all[i].End = e.Time
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Command) int { return a.Start.Compare(b.Start) })
	return all
}

// Alive returns the ids of the instances that were created and have not ended, in the order in which they were created.
func Alive(entries []Entry) []string {
	var alive []string
	for _, e := range entries {
		switch {
		case e.Event == Created:
			alive = append(alive, e.Instance)
		case e.Event.Ends():
			alive = slices.DeleteFunc(alive, func(id string) bool { return id == e.Instance })
		}
	}
	return alive
}

// Check looks for a fault of the manager: two keys on one slot of one instance at the same time. It ignores commands without a key or a
// slot. It returns one sentence for each fault, and nil if there is none.
func Check(entries []Entry) []string {
	type place struct{ instance, slot string }
	at := map[place][]Command{}
	var order []place
	for _, c := range Commands(entries) {
		if c.Key == "" || c.Slot == "" {
			continue
		}
		p := place{c.Instance, c.Slot}
		if len(at[p]) == 0 {
			order = append(order, p)
		}
		at[p] = append(at[p], c)
	}
	var faults []string
	for _, p := range order {
		for i, a := range at[p] {
			for _, b := range at[p][i+1:] {
				if a.Key != b.Key && (a.End.IsZero() || b.Start.Before(a.End)) {
					faults = append(faults, fmt.Sprintf("slot %s of %s: %q started at %s while %q held it", p.slot, p.instance, b.Key,
						b.Start.Format(time.RFC3339Nano), strings.TrimSpace(a.Key)))
				}
			}
		}
	}
	return faults
}
