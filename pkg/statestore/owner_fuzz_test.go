package statestore

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// FuzzOwner: a file owner.json with any content gives the owner, or none; the message about a held lock is one bounded, printable line. What was written is
// read again.
func FuzzOwner(f *testing.F) {
	dir := f.TempDir()
	if err := writeOwner(dir, "/run/x.sock", time.Unix(1e9, 0)); err != nil {
		f.Fatal(err)
	}
	real, err := os.ReadFile(filepath.Join(dir, ownerName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(real)
	f.Add(real[:len(real)/2])
	f.Add([]byte(`{"pid":-1,"command":"\u001b[2J\n","host":"` + strings.Repeat("x", 10_000) + `"}`))
	f.Add([]byte(`{"pid":99999999999999999999}`))
	f.Add([]byte(`[null]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, ownerName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		o := readOwner(dir)
		if !json.Valid(text) && o != (Owner{}) {
			t.Fatalf("%q is the owner %+v", text, o)
		}
		if s := (&LockedError{Dir: "state", Owner: o}).Error(); len(s) > 8<<10 || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			t.Fatalf("the message has %d bytes: %q", len(s), s[:min(len(s), 500)])
		}
		if o == (Owner{}) {
			return
		}
		again, err := json.Marshal(o)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", o, err)
		}
		if err := os.WriteFile(filepath.Join(dir, ownerName), again, 0o600); err != nil {
			t.Fatal(err)
		}
		if back := readOwner(dir); !back.Start.Equal(o.Start) || back.PID != o.PID || back.Command != o.Command || back.Host != o.Host || back.Socket != o.Socket {
			t.Fatalf("%+v is read as %+v", o, back)
		}
	})
}

// FuzzGuard: a guard of any bytes is an error or a guard that is the same when it is written and read again. Its size is fixed.
func FuzzGuard(f *testing.F) {
	g := guard{seq: 7, tx: 9}
	g.add(kindInstance, 1<<63)
	f.Add(g.append(nil))
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, payload []byte) {
		var first, second guard
		if first.decode(payload) != nil {
			return
		}
		written := first.append(nil)
		if err := second.decode(written); err != nil || second != first || len(written) != len(g.append(nil)) {
			t.Fatalf("%+v became %+v, %v", first, second, err)
		}
		if err := first.compare(&second); err != nil {
			t.Fatalf("it differs from itself: %v", err)
		}
	})
}
