package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBounds: a document that would need minutes or gigabytes is a fault at the line that goes beyond the bound. One just within is read.
func TestBounds(t *testing.T) {
	nested := func(open, close string, n int) string {
		return "x = " + strings.Repeat(open, n) + "1" + strings.Repeat(close, n)
	}
	lines := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	list := func(n int) string { return "x = [" + strings.Repeat("1,", n) + "]\n" }
	for name, c := range map[string]struct {
		text string
		line int    // of the fault; 0: none
		want string // in the message
	}{
		"dotted key":              {"# first\n" + strings.Repeat("a.", 100_000) + "a = 1\n", 2, "nested more than 32 deep"},
		"header":                  {"[" + strings.Repeat("a.", 100_000) + "a]\n", 1, "nested more than 32 deep"},
		"header of an array":      {"[[" + strings.Repeat("a.", 100_000) + "a]]\n", 1, "nested more than 32 deep"},
		"header and key":          {"[" + strings.Repeat("a.", 19) + "a]\nok = 1\n" + strings.Repeat("a.", 12) + "a = 1\n", 3, "nested more than 32 deep"},
		"header of an array, key": {"[[" + strings.Repeat("a.", 19) + "a]]\nok = 1\n" + strings.Repeat("a.", 12) + "a = 1\n", 3, "nested more than 32 deep"},
		"after a deeper table":    {"[" + strings.Repeat("a.", 30) + "a]\n[[b]]\n" + strings.Repeat("a.", 5) + "a = 1\n", 0, ""},
		"lists":                   {nested("[", "]", 9000), 1, "nested more than 32 deep"},
		"inline tables":           {nested("{a = ", "}", 9000), 1, "nested more than 32 deep"},
		"as deep as it may be":    {nested("[", "]", 30), 0, ""},
		"keys":                    {lines(40_000, "k%d = 1\n"), 10_001, "more than 10000 keys"},
		"tables":                  {lines(40_000, "[t%d]\n"), 10_001, "more than 10000 keys"},
		"runners":                 {lines(40_000, "[[runners]] # %d\n"), 10_001, "more than 10000 keys"},
		"elements":                {"a = 1\n" + list(40_000), 2, "more than 10000 keys"},
		"keys of inline tables":   {"a = 1\nx = {" + lines(40_000, "k%d = 1,") + "z = 1}\n", 2, "more than 10000 keys"},
		"as many as there may be": {list(9_999), 0, ""},
	} {
		_, report := Parse("config.toml", []byte(c.text))
		var found []Problem
		for _, p := range report.Problems {
			if p.Code == CodeBounds {
				found = append(found, p)
			}
		}
		switch {
		case c.line == 0 && len(found) > 0:
			t.Errorf("%s: %v", name, found)
		case c.line > 0 && (len(report.Problems) != 1 || len(found) != 1 || found[0].Line != c.line || !strings.Contains(found[0].Message, c.want) || found[0].Remedy == ""):
			t.Errorf("%s: %.300v", name, report.Problems)
		}
	}
}

// A file beyond the bounds is refused by counting: four times as many keys need about four times the work, and nothing is decoded. Allocations are what
// can be counted.
func TestRefusalIsLinear(t *testing.T) {
	work := func(n int) float64 {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "k%d = 1\n", i)
		}
		text := []byte(b.String())
		return testing.AllocsPerRun(1, func() { Parse("config.toml", text) })
	}
	few, within := work(4*maxKeys), work(maxKeys/10)
	if few > 100 || within < 1000 {
		t.Errorf("%d keys need %.0f allocations, and %d, which are decoded, %.0f", 4*maxKeys, few, maxKeys/10, within)
	}
	if more := work(16 * maxKeys); more > 2*few {
		t.Errorf("%d keys need %.0f allocations, and %d need %.0f", 4*maxKeys, few, 16*maxKeys, more)
	}
}

// TestKeyFilesThatAreNone: a key file that would block or never end is an error.
func TestKeyFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, maxKeyFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{dir: "not a file", "/dev/zero": "not a file", large: "more than 64 KiB", filepath.Join(dir, "none"): "no such file"}
	if pipe := filepath.Join(dir, "pipe"); makePipe(pipe) == nil {
		files[pipe] = "not a file"
	}
	for path, want := range files {
		c := Connector{KeyPath: path}
		if _, err := c.LoadKey(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
		f := File{Path: "config.toml", Runners: []Runner{{Autoscaler: &Autoscaler{StateStorage: StateStorage{KeyFile: path}}}}}
		if err := f.CheckFiles().Err(); path != large && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s as the key of the state: %v", path, err)
		}
	}
}

// TestEndlessFile: a configuration that never ends is an error, also as a fragment.
func TestEndlessFile(t *testing.T) {
	if _, err := Read("/dev/zero"); err == nil || !strings.Contains(err.Error(), "larger than 4 MiB") {
		t.Errorf("got %v", err)
	}
}
