package statestore

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const ownerName = "owner.json"

// writeOwner writes who holds the lock, for the error message of another process that wants it. The caller must hold the lock.
func writeOwner(dir, socket string, start time.Time) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	text, err := json.Marshal(Owner{PID: os.Getpid(), Command: commandOf(os.Args), Host: host, Start: start, Socket: socket})
	if err != nil {
		return fmt.Errorf("statestore: encode owner: %w", err)
	}
	tmp := filepath.Join(dir, ownerName+".new")
	if err := os.WriteFile(tmp, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("state directory %s cannot be written (is it writable, and is there space?): %w", dir, err)
	}
	if err := os.Rename(tmp, filepath.Join(dir, ownerName)); err != nil {
		return fmt.Errorf("statestore: write the owner: %w", err)
	}
	return nil
}

// readOwner returns the zero Owner if there is no readable owner.json.
func readOwner(dir string) (o Owner) {
	text, err := os.ReadFile(filepath.Join(dir, ownerName))
	if err != nil || json.Unmarshal(text, &o) != nil {
		return Owner{}
	}
	return o
}

// commandOf returns the name of a program, and its first argument if that is a plain word. Other arguments may hold secrets.
func commandOf(args []string) string {
	if len(args) == 0 {
		return ""
	}
	name := filepath.Base(args[0])
	if len(args) > 1 && args[1] != "" && strings.Trim(args[1], "abcdefghijklmnopqrstuvwxyz") == "" {
		name += " " + args[1]
	}
	return name
}
