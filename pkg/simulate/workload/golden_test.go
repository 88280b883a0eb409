package workload

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files again")

// describe is everything that was read, as text.
func describe(l *Loaded) string {
	var b strings.Builder
	for _, n := range l.Notes() {
		fmt.Fprintln(&b, n)
	}
	if !l.Origin.IsZero() {
		fmt.Fprintln(&b, "origin", l.Origin.Format(time.RFC3339Nano))
	}
	for i, j := range l.Jobs.List {
		fmt.Fprintf(&b, "%v +%v", j.Arrival, j.Duration)
		if l.Waits != nil && l.Waits[i] >= 0 {
			fmt.Fprintf(&b, " waited %v", l.Waits[i])
		}
		if j.Tag > 0 {
			fmt.Fprintf(&b, " %q", l.Jobs.Names[j.Tag])
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for _, tc := range []struct {
		file   string
		format string
		o      Options
	}{
		{"jobs.csv", CSV, Options{}},
		{"plain.csv", CSV, Options{Columns: map[string]string{"arrival": "1", "duration": "2", "tag": "3"}}},
		{"jobs.jsonl", JSONLines, Options{}},
		{"gitlab.json", GitLab, Options{}},
		{"github.json", GitHub, Options{}},
		{"jobs.swf", SWF, Options{}},
		{"jobs.dat", Taskcluster, Options{}},
	} {
		t.Run(tc.file, func(t *testing.T) {
			path := filepath.Join("testdata", tc.file)
			l, err := Open(path, tc.o)
			if err != nil {
				t.Fatal(err)
			}
			if l.Format != tc.format {
				t.Errorf("read as %s, want %s", l.Format, tc.format)
			}
			if l.Rows != len(l.Jobs.List)+l.droppedTotal() {
				t.Errorf("%d rows, %d jobs, %d dropped", l.Rows, len(l.Jobs.List), l.droppedTotal())
			}
			got := describe(l)
			if *update {
				if err := os.WriteFile(path+".golden", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path + ".golden")
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			sameWhenNamedAndZipped(t, path, tc.o, got)
		})
	}
}

// sameWhenNamedAndZipped reads a file with its format named, and compressed: neither may change anything.
func sameWhenNamedAndZipped(t *testing.T, path string, o Options, want string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Read(path, bytes.NewReader(zipped(raw)), o)
	if err != nil || describe(l) != want {
		t.Errorf("compressed: %v", err)
	}
	o.Format = l.Format
	if l, err = Read(path, bytes.NewReader(raw), o); err != nil || describe(l) != want {
		t.Errorf("with its format named: %v", err)
	}
	if l.Format == Taskcluster {
		return
	}
	windows := bytes.ReplaceAll(append([]byte("\ufeff"), raw...), []byte("\n"), []byte("\r\n"))
	o.Format = ""
	if l, err = Read(path, bytes.NewReader(windows), o); err != nil || describe(l) != want {
		t.Errorf("with a byte order mark and Windows's lines: %v", err)
	}
}
