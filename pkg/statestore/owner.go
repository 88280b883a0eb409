package statestore

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/safetext"
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

// Limits of an owner.json, in bytes. Other processes may write into the directory, and the owner is shown to a person.
const (
	maxOwner     = 64 << 10
	maxOwnerText = 512
)

// readOwner returns the zero Owner if there is no readable owner.json. Its texts are bounded and printable.
func readOwner(dir string) (o Owner) {
	path := filepath.Join(dir, ownerName)
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > maxOwner { // opening a pipe could wait for ever
		return Owner{}
	}
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &o) != nil || o.PID <= 0 {
		return Owner{}
	}
	o.Command, o.Host = safetext.Line(o.Command, maxOwnerText), safetext.Line(o.Host, maxOwnerText)
	if safetext.CheckLine(o.Socket, safetext.MaxPath) != nil {
		o.Socket = ""
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
