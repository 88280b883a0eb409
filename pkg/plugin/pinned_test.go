package plugin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPinnedBytesTellTheVersion: with a sum, the copy that was summed is asked for its version, and not the file, which can be another one by now.
func TestPinnedBytesTellTheVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plugin")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho \"Name: $0\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	sum, err := Sum(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, pin := range []string{"", sum} {
		opts := LaunchOptions{Path: path, SHA256: pin, SHA256From: "the sum of the test"}
		text, err := askVersion(t.Context(), opts)
		ran := strings.TrimSpace(strings.TrimPrefix(text, "Name: "))
		if err != nil || ran == "" || (ran == path) != (pin == "") {
			t.Errorf("with the sum %q it executed %q, %v", pin, ran, err)
		}
	}
}
