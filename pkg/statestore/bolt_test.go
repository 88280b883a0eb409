package statestore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/statestore/storetest"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func openBolt(t testing.TB, dir string) *statestore.Bolt {
	t.Helper()
	b, err := statestore.OpenBolt(dir, statestore.BoltOptions{Now: func() time.Time { return noon }, Socket: "/run/control.sock"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func commit(t testing.TB, b *statestore.Bolt, c statestore.Commit) {
	t.Helper()
	if err := b.Commit(context.Background(), c); err != nil {
		t.Fatal(err)
	}
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestPermissions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	b := openBolt(t, dir)
	for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Dir(dir): 0o700, dir + "/state.db": 0o600, dir + "/owner.json": 0o600} {
		if have := mode(t, path); have != want {
			t.Errorf("%s has mode %o instead of %o", path, have, want)
		}
	}
	if have := names(t, dir); !slices.Equal(have, []string{"owner.json", "state.db"}) {
		t.Errorf("the directory holds %v", have)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if have := names(t, dir); !slices.Equal(have, []string{"state.db"}) {
		t.Errorf("after Close the directory holds %v", have)
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(dir+"/state.db", 0o644)); err != nil {
		t.Fatal(err)
	}
	openBolt(t, dir)
	if d, f := mode(t, dir), mode(t, dir+"/state.db"); d != 0o700 || f != 0o600 {
		t.Errorf("what was open to others has modes %o and %o", d, f)
	}
}

// TestRefusals: each obstacle is refused with a message that names it.
func TestRefusals(t *testing.T) {
	cases := map[string]struct {
		prepare func(t *testing.T, dir string)
		want    []string
	}{
		"a file for a directory": {func(t *testing.T, dir string) { write(t, dir, "x") }, []string{"is a file", "set another directory"}},
		"a directory for the file": {func(t *testing.T, dir string) { makeDir(t, dir+"/state.db", 0o700) },
			[]string{"state.db is a directory", "move it away"}},
		"a shared directory": {func(t *testing.T, dir string) {
			makeDir(t, dir, 0o755)
			write(t, dir+"/other.txt", "x")
		}, []string{"open to others (mode 0755)", "other.txt", "chmod 700"}},
		"a file above": {func(t *testing.T, dir string) { write(t, filepath.Dir(dir)+"/group", "x") }, []string{"is a file"}},
		"a read-only directory": {func(t *testing.T, dir string) {
			if os.Getuid() == 0 {
				t.Skip("root may write to read-only directories")
			}
			makeDir(t, dir, 0o500)
		}, []string{"cannot be written"}},
		"a read-only file": {func(t *testing.T, dir string) {
			if os.Getuid() == 0 {
				t.Skip("root may write to read-only files")
			}
			_ = openBolt(t, dir).Close()
			if err := os.Chmod(dir+"/state.db", 0o400); err != nil {
				t.Fatal(err)
			}
		}, []string{"cannot be opened for writing"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "group")
			c.prepare(t, dir)
			_, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func makeDir(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(path, 0o700), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

func TestLockedSaysByWhom(t *testing.T) {
	dir := t.TempDir() + "/group"
	openBolt(t, dir)
	_, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
	var locked *statestore.LockedError
	if !errors.As(err, &locked) {
		t.Fatal(err)
	}
	host, _ := os.Hostname()
	want := statestore.Owner{PID: os.Getpid(), Command: filepath.Base(os.Args[0]), Host: host, Start: noon, Socket: "/run/control.sock"}
	if locked.Owner != want || locked.Dir != dir {
		t.Errorf("locked by %+v in %s, want %+v", locked.Owner, locked.Dir, want)
	}
	for _, part := range []string{fmt.Sprint("process ", os.Getpid()), "(" + want.Command + ") on " + host, "2026-11-23T12:00:00Z", "/run/control.sock", "stop that one"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the message does not say %q: %v", part, err)
		}
	}
	write(t, dir+"/owner.json", "{")
	known := 0
	if runtime.GOOS == "linux" { // the kernel says it
		known = os.Getpid()
	}
	if _, err = statestore.OpenBolt(dir, statestore.BoltOptions{}); !errors.As(err, &locked) || locked.Owner.PID != known {
		t.Errorf("with an unreadable owner: %v", err)
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "x", "y")
	b := openBolt(t, dir)
	commit(t, b, storetest.Bulk(3))
	if err := b.Remove(); err != nil {
		t.Fatal(err)
	}
	if left := names(t, base); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
	if err := b.Commit(context.Background(), storetest.Bulk(1)); !errors.Is(err, statestore.ErrClosed) {
		t.Errorf("Commit after Remove: %v", err)
	}
	makeDir(t, dir, 0o700) // a directory that existed before stays
	b = openBolt(t, dir)
	if err := b.Remove(); err != nil {
		t.Fatal(err)
	}
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

// TestNewerRelease loads files that a later release could write.
func TestNewerRelease(t *testing.T) {
	for _, file := range []string{"layout-v2.db", "record-v2.db", "state-9.db"} {
		t.Run(file, func(t *testing.T) {
			image := statestore.Newer(t, file)
			dir := t.TempDir() + "/group"
			makeDir(t, dir, 0o700)
			if err := os.WriteFile(dir+"/state.db", image, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
			var version *statestore.VersionError
			if !errors.As(err, &version) || version.Found <= version.Supported || version.Path != dir+"/state.db" {
				t.Fatalf("%#v: %v", version, err)
			}
			if !strings.Contains(err.Error(), "newer release") || !strings.Contains(err.Error(), "run that release") {
				t.Errorf("the message does not say what to do: %v", err)
			}
			if have, err := os.ReadFile(dir + "/state.db"); err != nil || !slices.Equal(have, image) {
				t.Errorf("the file was modified (%v)", err)
			}
			if have := names(t, dir); !slices.Equal(have, []string{"state.db"}) {
				t.Errorf("the directory holds %v", have)
			}
		})
	}
}

func TestOneCopyOfOneDamage(t *testing.T) {
	dir := t.TempDir() + "/group"
	_ = openBolt(t, dir).Close()
	damage := func(text string) (where string) {
		write(t, dir+"/state.db", text)
		for range 3 { // a manager that is started again and again
			_, err := statestore.OpenBolt(dir, statestore.BoltOptions{Now: func() time.Time { return noon }})
			var corrupt *statestore.CorruptError
			if !errors.As(err, &corrupt) {
				t.Fatal(err)
			}
			where = corrupt.Copy
			if mode(t, where) != 0o600 || !strings.Contains(err.Error(), where) {
				t.Errorf("%s has mode %o: %v", where, mode(t, where), err)
			}
		}
		return where
	}
	first, second := damage("one"), damage("two")
	if first != dir+"/state.db.corrupt-20261123T120000.000Z" || second != first+"-1" {
		t.Errorf("the copies are %s and %s", first, second)
	}
	if have := names(t, dir); len(have) != 3 {
		t.Errorf("the directory holds %v", have)
	}
}

// TestFullDisk fills the disk: a commit that does not fit fails as a whole, and later ones that fit succeed.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir() + "/group"
	b, err := statestore.OpenBolt(dir, statestore.WithMaxSize(statestore.BoltOptions{}, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	var m storetest.Model
	for _, c := range storetest.Sample(5, 1) {
		commit(t, b, c)
		m.Apply(c)
	}
	for range 3 {
		if err := b.Commit(context.Background(), storetest.Bulk(8_000)); err == nil || !strings.Contains(err.Error(), "is the disk full?") {
			t.Fatalf("8,000 instances in 1 MiB: %v", err)
		}
	}
	// What is on the disk after a failure is unknown. So the next commit is written even if it changes nothing.
	before, same := b.Stats().Seq, storetest.Sample(5, 1)
	commit(t, b, same[len(same)-1])
	if after := b.Stats().Seq; after <= before {
		t.Errorf("a commit after a failed one was not written: number %d, as before", after)
	}
	for _, c := range storetest.Sample(5, 2) {
		commit(t, b, c)
		m.Apply(c)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	loaded, err := openBolt(t, dir).Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if d := m.Differs(loaded); d != "" {
		t.Error(d)
	}
}

// TestPermanent: errors that no retry can mend are permanent, and all others are not.
func TestPermanent(t *testing.T) {
	for err, want := range map[error]bool{
		&fs.PathError{Op: "write", Path: "x", Err: syscall.EROFS}: true, berrors.ErrDatabaseNotOpen: true, berrors.ErrDatabaseReadOnly: true,
		&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}: false, &fs.PathError{Op: "write", Path: "x", Err: syscall.EIO}: false,
	} {
		if got := statestore.IsPermanent(statestore.PermanentIf(fmt.Errorf("commit: %w", err))); got != want {
			t.Errorf("%v is permanent: %v", err, got)
		}
	}
	for err, want := range map[error]bool{
		nil: false, errors.New("x"): false, statestore.ErrClosed: true, &statestore.LockedError{}: false, &statestore.ReplacedError{}: false, &statestore.VersionError{}: true,
		fmt.Errorf("x: %w", &statestore.CorruptError{}): true, fmt.Errorf("x: %w", &statestore.PermanentError{Err: errors.New("x")}): true,
	} {
		if got := statestore.IsPermanent(err); got != want {
			t.Errorf("IsPermanent(%v) = %v", err, got)
		}
	}
}

// TestCutOffInUse truncates the file while it is mapped, so that reading it faults. This call and every later one return an error, and the
// lock can be released.
func TestCutOffInUse(t *testing.T) {
	for name, use := range map[string]func(b *statestore.Bolt) error{
		"Commit": func(b *statestore.Bolt) error { return b.Commit(context.Background(), storetest.Sample(1, 3)[0]) },
		"Load": func(b *statestore.Bolt) error {
			_, err := b.Load(context.Background())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir() + "/group"
			b := openBolt(t, dir)
			commit(t, b, storetest.Bulk(500))
			if err := os.Truncate(dir+"/state.db", 0); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				var corrupt *statestore.CorruptError
				if err := use(b); !errors.As(err, &corrupt) {
					t.Fatal(err)
				}
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			var corrupt *statestore.CorruptError
			if _, err := statestore.OpenBolt(dir, statestore.BoltOptions{}); !errors.As(err, &corrupt) {
				t.Errorf("the next one: %v", err) // and not a *LockedError
			}
		})
	}
}

// TestForeignFile opens a bbolt file of another program.
func TestForeignFile(t *testing.T) {
	dir := t.TempDir() + "/group"
	makeDir(t, dir, 0o700)
	db, err := bolt.Open(dir+"/state.db", 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("theirs"))
		return err
	}), db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := statestore.OpenBolt(dir, statestore.BoltOptions{}); err == nil || !strings.Contains(err.Error(), "not a state file") {
		t.Error(err)
	}
}

// TestCostOfACommit: a commit costs the same in a small fleet and in a large one.
func TestCostOfACommit(t *testing.T) {
	cost := func(n int) (costs []statestore.CommitStats) {
		b := openBolt(t, t.TempDir()+"/group")
		commit(t, b, storetest.Bulk(n))
		for i := range 5 {
			c := storetest.Bulk(1000)
			c.Changes.Put, c.Secrets = c.Changes.Put[i*100:i*100+50], c.Secrets[i*100:i*100+3]
			for k := range c.Changes.Put {
				c.Changes.Put[k].Uses = 100 + i
			}
			c.Changes.Drop = []record.ID{record.ID(fmt.Sprintf("bulk-%06d", 990+i))}
			c.Changes.Meta = &record.Meta{Group: "g", LastOp: uint64(1000 + i)}
			commit(t, b, c)
			costs = append(costs, b.Stats())
		}
		return costs
	}
	small, large := cost(1_000), cost(100_000)
	for i := range small {
		s, l := small[i], large[i]
		t.Logf("1,000: %+v; 100,000: %+v", s, l)
		if s.Records != l.Records || s.Bytes != l.Bytes || s.Records < 50 {
			t.Errorf("commit %d costs %+v with 1,000 instances and %+v with 100,000", i, s, l)
		}
		if l.Pages > s.Pages+10 { // bbolt's tree is a level or two deeper
			t.Errorf("commit %d writes %d pages with 1,000 instances and %d with 100,000", i, s.Pages, l.Pages)
		}
	}
}

func TestSecretsStaySecret(t *testing.T) {
	const word = "hunter2"
	secret := statestore.Secret{ID: "i-1", Value: []byte(word)}
	c := statestore.Commit{Secrets: []statestore.Secret{secret}}
	snapshot := statestore.Snapshot{Secrets: map[record.ID][]byte{"i-1": []byte(word)}}
	var out strings.Builder
	for _, v := range []any{secret, &secret, c, &c, snapshot, &snapshot} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
		for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
			slog.New(h).Info("x", "v", v)
		}
	}
	for _, leak := range []string{word, fmt.Sprintf("%x", word), fmt.Sprint([]byte(word)), "aHVudGVyMg", fmt.Sprintf("%#v", []byte(word))} {
		if strings.Contains(out.String(), strings.Trim(leak, "[]")) {
			t.Errorf("%q is in %s", leak, out.String())
		}
	}
}
