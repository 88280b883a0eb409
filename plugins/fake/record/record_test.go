package record

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func at(second int) time.Time { return time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC) }

func code(n int) *int { return &n }

func start(second int, instance string, exec uint64, key, slot string) Entry {
	return Entry{Time: at(second), Event: CommandStart, Instance: instance, Exec: exec, Key: key, Slot: slot, Use: "1", Command: "make", PID: 42}
}

func end(second int, instance string, exec uint64) Entry {
	return Entry{Time: at(second), Event: CommandEnd, Instance: instance, Exec: exec, ExitCode: code(3)}
}

func TestWriteAndRead(t *testing.T) {
	dir := t.TempDir()
	for i, id := range []string{"a", "b"} {
		w, err := Open(filepath.Join(dir, id+Suffix), id, uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range []Entry{{Time: at(2 - i), Event: Created}, {Time: at(5), Event: CommandEnd, ExitCode: code(0)}, {Event: Deleted}} {
			if err := w.Write(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := w.Write(Entry{Event: Died}); err == nil {
			t.Error("a closed writer accepted an entry")
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("not a record"), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := ReadDir(dir)
	if err != nil || len(all) != 6 {
		t.Fatalf("%d entries, %v, want 6", len(all), err)
	}
	var order []string
	for _, e := range all {
		order = append(order, e.Instance+" "+string(e.Event))
	}
	if want := []string{"b created", "a created", "a command_end", "b command_end", "a deleted", "b deleted"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if all[2].ExitCode == nil || *all[2].ExitCode != 0 || all[0].Number != 2 || all[5].Time.IsZero() {
		t.Errorf("entries lost something: %+v", all)
	}
	if info, err := os.Stat(filepath.Join(dir, "a"+Suffix)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
}

func TestReadOfWhatIsDamaged(t *testing.T) {
	good := `{"time":"2026-01-02T03:04:05Z","event":"created","instance":"a","number":1}` + "\n"
	if got, err := Read(strings.NewReader(good + `{"time":"2026-`)); err != nil || len(got) != 1 {
		t.Errorf("a last line that was cut off: %v, %v, want the one before it", got, err)
	}
	got, err := Read(strings.NewReader(good + "garbage\n" + good))
	if err == nil || !strings.Contains(err.Error(), "line 2") || len(got) != 1 {
		t.Errorf("garbage in the middle: %v, %v, want an error that names line 2", got, err)
	}
	path := filepath.Join(t.TempDir(), "x"+Suffix)
	if err := os.WriteFile(path, []byte("garbage\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadDir(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v, want an error that names the file", err)
	}
	if _, err := ReadDir(filepath.Join(filepath.Dir(path), "nothing")); !os.IsNotExist(err) {
		t.Errorf("%v, want that there is no such folder", err)
	}
}

func TestCommands(t *testing.T) {
	got := Commands([]Entry{
		start(1, "a", 1, "k1", "0"), start(2, "b", 1, "k2", "0"), end(3, "a", 1), start(4, "a", 2, "k3", "0"),
		{Time: at(5), Event: Died, Instance: "b"}, end(6, "nobody", 9),
	})
	if len(got) != 3 {
		t.Fatalf("%d commands, want 3", len(got))
	}
	if c := got[0]; c.Key != "k1" || !c.Start.Equal(at(1)) || !c.End.Equal(at(3)) ||
		c.ExitCode == nil || *c.ExitCode != 3 || c.PID != 42 || c.Use != "1" {
		t.Errorf("the first: %+v", c)
	}
	if c := got[1]; c.Key != "k2" || !c.End.Equal(at(5)) || c.ExitCode != nil {
		t.Errorf("the one whose instance died: %+v, want it to end then, without a code", c)
	}
	if c := got[2]; !c.End.IsZero() {
		t.Errorf("the one that runs: %+v, want no end", c)
	}
}

func TestAlive(t *testing.T) {
	got := Alive([]Entry{
		{Event: Created, Instance: "a"}, {Event: Created, Instance: "b"}, {Event: Created, Instance: "c"}, {Event: Created, Instance: "d"},
		{Event: BootFailed, Instance: "b"}, {Event: Deleting, Instance: "c"}, {Event: Reclaimed, Instance: "a"}, {Event: Deleted, Instance: "c"},
	})
	if want := []string{"b", "d"}; !slices.Equal(got, want) {
		t.Errorf("alive %v, want %v", got, want)
	}
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		name    string
		entries []Entry
		faults  int
	}{
		{"one after the other", []Entry{start(1, "a", 1, "k1", "0"), end(2, "a", 1), start(2, "a", 2, "k2", "0")}, 0},
		{"two slots", []Entry{start(1, "a", 1, "k1", "0"), start(1, "a", 2, "k2", "1")}, 0},
		{"two instances", []Entry{start(1, "a", 1, "k1", "0"), start(1, "b", 1, "k2", "0")}, 0},
		{"two commands of one key", []Entry{start(1, "a", 1, "k1", "0"), start(2, "a", 2, "k1", "0")}, 0},
		{"no key", []Entry{start(1, "a", 1, "", "0"), start(2, "a", 2, "k1", "0")}, 0},
		{"no slot", []Entry{start(1, "a", 1, "k1", ""), start(2, "a", 2, "k2", "")}, 0},
		{"overlap", []Entry{start(1, "a", 1, "k1", "0"), start(2, "a", 2, "k2", "0"), end(3, "a", 1), end(4, "a", 2)}, 1},
		{"held for ever", []Entry{start(1, "a", 1, "k1", "0"), start(2, "a", 2, "k2", "0"), start(3, "a", 3, "k3", "0")}, 3},
	} {
		if got := Check(tc.entries); len(got) != tc.faults {
			t.Errorf("%s: %q, want %d faults", tc.name, got, tc.faults)
		}
	}
	fault := Check([]Entry{start(1, "a", 1, "k1", "0"), start(2, "a", 2, "k2", "0")})[0]
	for _, want := range []string{"slot 0 of a", `"k1"`, `"k2"`} {
		if !strings.Contains(fault, want) {
			t.Errorf("fault %q, want it to name %s", fault, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"time":"2026-01-02T03:04:05Z","event":"command_start","instance":"a","exec":1,"key":"k","slot":"0"}` + "\n"))
	f.Add([]byte("{}\n{\n"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		entries, err := Read(bytes.NewReader(raw))
		if lines := bytes.Count(raw, []byte("\n")); len(entries) > lines || err == nil && len(entries) != lines {
			t.Fatalf("%d entries of %d lines, %v", len(entries), lines, err)
		}
		Commands(entries)
		Alive(entries)
		Check(entries)
	})
}
