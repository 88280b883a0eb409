package journal

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReplayIsWhatHappened: a replay of two lives in many segments gives every batch again, from the start and from the middle.
func TestReplayIsWhatHappened(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "journal")
	o := Options{MaxBytes: 1 << 20, Version: "v1"}
	a := drive(t, dir, 1, o)
	for range 3000 {
		a.round(1 + a.r.IntN(6))
	}
	if err := a.w.Close(); err != nil {
		t.Fatal(err)
	}
	first, err := OpenDir(dir) // before the second life, whose clock may be behind that of the first
	if err != nil {
		t.Fatal(err)
	}
	mid := middle(t, first.Segments())
	part, err := replayAll(t, dir, ReplayOptions{From: mid.Add(time.Second), Until: mid.Add(time.Minute)}, a)
	if err != nil || part.rounds == 0 || part.rounds > 200 || len(part.begins) != 1 || part.first != firstAfter(a, mid) {
		t.Errorf("from the middle: %+v, %v", part, err)
	}
	b := drive(t, dir, 2, o)
	for range 300 {
		b.round(1 + b.r.IntN(6))
	}
	b.flush()
	out, err := replayAll(t, dir, ReplayOptions{}, a, b)
	if err != nil {
		t.Fatal(err)
	}
	lives := 0
	for _, x := range out.begins {
		if x == BeginLife {
			lives++
		}
	}
	if len(out.problems) > 0 || lives != 2 || slices.Contains(out.begins, BeginGap) || len(out.begins) < 4 || out.rounds != 3300 {
		t.Fatalf("%+v", out)
	}
	j, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for n, s := range j.Segments() {
		if s.Err != nil || s.Version != "v1" || s.Number != uint64(n+1) {
			t.Errorf("segment %+v", s)
		}
	}
	one, err := replayAll(t, j.Segments()[1].Path, ReplayOptions{}, a)
	if err != nil || one.rounds == 0 || len(one.begins) != 1 {
		t.Errorf("one segment: %+v, %v", one, err)
	}
	info, err := os.Stat(j.Segments()[0].Path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of the directory %v, %v", info.Mode(), err)
	}
}

// middle returns the begin of a segment that is neither the first nor followed by one that begins earlier: the clock may have been set back.
func middle(t *testing.T, all []Segment) time.Time {
	for n := len(all) - 1; n > 0; n-- {
		if !slices.ContainsFunc(all[n+1:], func(later Segment) bool { return later.At.Before(all[n].At.Add(time.Minute)) }) {
			return all[n].At
		}
	}
	t.Fatalf("no such segment in %d", len(all))
	return time.Time{}
}

func firstAfter(d *driver, wall time.Time) time.Duration {
	mono := d.times[0]
	j, err := OpenDir(d.w.Dir())
	if err != nil {
		d.t.Fatal(err)
	}
	_ = j.Replay(ReplayOptions{}, func(s Step) error {
		if s.Begin == BeginNone {
			mono = s.Now.Mono
		}
		if s.Begin != BeginNone && s.File.At.Equal(wall) {
			return errors.New("found")
		}
		return nil
	})
	return d.times[slices.Index(d.times, mono)+1]
}

// TestBounded: the oldest segments are removed. The rest replays from its own snapshot.
func TestBounded(t *testing.T) {
	dir := t.TempDir()
	d := drive(t, dir, 3, Options{MaxBytes: 128 << 10})
	for range 6000 {
		d.round(1 + d.r.IntN(6))
		if d.r.IntN(50) == 0 {
			d.flush()
			if n, _ := size(t, dir); n > 128<<10 {
				t.Fatalf("%d bytes", n)
			}
		}
	}
	d.flush()
	out, err := replayAll(t, dir, ReplayOptions{}, d)
	if err != nil || out.rounds == 0 || out.rounds >= 6000 || out.begins[0] != BeginSegment || len(out.problems) > 0 {
		t.Fatalf("%+v %v", out, err)
	}
	if n, files := size(t, dir); n < 64<<10 || files < 3 {
		t.Errorf("%d bytes in %d files", n, files)
	}
}

// segmentOf returns a real segment with this number of rounds.
func segmentOf(t testing.TB, seed uint64, rounds int) []byte {
	t.Helper()
	dir := t.TempDir()
	d := drive(t, dir, seed, Options{})
	for range rounds {
		d.round(1 + d.r.IntN(3))
	}
	if err := d.w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "0000000000000001"+extension))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTruncatedAnywhere: if the end of a segment is missing, the rest replays. A cut inside a record is reported as torn.
func TestTruncatedAnywhere(t *testing.T) {
	whole := segmentOf(t, 4, 24)
	path := filepath.Join(t.TempDir(), "0000000000000001"+extension)
	ends := map[int]bool{}
	for off := len(magic); off < len(whole); {
		_, n, err := next(whole[off:])
		if err != nil {
			t.Fatal(err)
		}
		off += n
		ends[off] = true
	}
	most := 0
	for n := range whole {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := replayAll(t, path, ReplayOptions{})
		switch {
		case out.rounds < most:
			t.Fatalf("%d bytes: %d rounds, %d with less", n, out.rounds, most)
		case ends[n] && len(out.begins) > 0 && (err != nil || len(out.problems) > 0):
			t.Fatalf("cut after a record, at %d: %+v %v", n, out, err)
		case !ends[n] && (len(out.problems) != 1 || !out.problems[0].Torn):
			t.Fatalf("cut in a record, at %d: %+v %v", n, out, err)
		case err != nil && len(out.begins) > 0:
			t.Fatalf("cut at %d: %v", n, err)
		}
		most = out.rounds
	}
	if most != 24 {
		t.Errorf("%d rounds", most)
	}
}

// TestDamageInTheMiddle: a replay continues with the next segment, and reports the damage.
func TestDamageInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	d := drive(t, dir, 5, Options{MaxBytes: 256 << 10})
	for range 2500 {
		d.round(1 + d.r.IntN(6))
	}
	d.flush()
	j, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(j.Segments()) < 4 {
		t.Fatalf("%d segments", len(j.Segments()))
	}
	path := j.Segments()[1].Path
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 0x10
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := replayAll(t, dir, ReplayOptions{}, d)
	if err != nil || len(out.problems) != 1 || out.problems[0].Torn || out.problems[0].Path != path || out.begins[2] != BeginGap {
		t.Fatalf("%+v %v", out, err)
	}
	if out.last != d.times[len(d.times)-1] {
		t.Error("the next segment was not replayed")
	}
	if err := os.WriteFile(path, []byte("nothing of ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err = replayAll(t, dir, ReplayOptions{}, d)
	if err != nil || len(out.problems) != 1 || out.last != d.times[len(d.times)-1] {
		t.Fatalf("%+v %v", out, err)
	}
}

// TestALostSegmentIsAGap: whatever is wrong with one segment in the middle, and if it is missing, the replay skips what it has to and goes on with the
// next one, which it calls the beginning after a gap. Nothing of that is a decision that differs.
func TestALostSegmentIsAGap(t *testing.T) {
	snapshot := func(edit func(f *frame)) func([]byte) []byte {
		return func(b []byte) []byte {
			return reseal(b, func(n int, f *frame) {
				if n == 1 {
					edit(f)
				}
			})
		}
	}
	for name, damage := range map[string]func(b []byte) []byte{
		"missing":               nil,
		"empty":                 func([]byte) []byte { return nil },
		"of another program":    func([]byte) []byte { return []byte("nothing of ours") },
		"without its end":       func(b []byte) []byte { return b[:len(b)*3/4] },
		"with a wrong bit":      func(b []byte) []byte { b[len(b)*3/4] ^= 0x10; return b },
		"with another snapshot": snapshot(func(f *frame) { f.payload = []byte("of another release") }),
		"with half a snapshot":  snapshot(func(f *frame) { f.payload = f.payload[:len(f.payload)/2] }),
		"without a snapshot":    snapshot(func(f *frame) { f.kind = kindMark }),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := drive(t, dir, 19, Options{})
			for n := range 80 {
				if n > 0 && n%20 == 0 {
					s := d.core.Snapshot()
					d.w.Rotate(&s)
				}
				d.round(1 + d.r.IntN(6))
			}
			d.flush()
			path, problems := filepath.Join(dir, "0000000000000002"+extension), 1
			b, err := os.ReadFile(path)
			if damage == nil {
				problems, err = 0, errors.Join(err, os.Remove(path))
			} else {
				err = errors.Join(err, os.WriteFile(path, damage(b), 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
			out, err := replayAll(t, dir, ReplayOptions{}, d)
			if err != nil || len(out.problems) != problems || out.last != d.times[len(d.times)-1] {
				t.Fatalf("%+v %v", out, err)
			}
			if n := len(out.begins); out.begins[n-2] != BeginGap || out.begins[n-1] != BeginSegment {
				t.Errorf("the segments begin as %v", out.begins)
			}
		})
	}
}

// TestDamageIsNoCrash: only a missing end is torn. A wrong checksum, another format or a foreign file is not, even in the last segment.
// Each is named by the number in its file's name.
func TestDamageIsNoCrash(t *testing.T) {
	whole := segmentOf(t, 8, 24)
	_, head, err := next(whole[len(magic):])
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(at int) []byte {
		b := bytes.Clone(whole)
		b[at] ^= 0x10
		return b
	}
	for _, c := range []struct {
		name, says string
		b          []byte
		torn       bool
	}{
		{"a wrong checksum in the middle", "is damaged at byte", flipped(len(whole) - 40), false},
		{"a wrong checksum in the header", "cannot be read: the checksum", flipped(len(magic) + 5), false},
		{"another format", "cannot be read: it has format 2", reseal(whole, func(n int, f *frame) {
			if n == 0 {
				f.payload[0] = 2
			}
		}), false},
		{"something else", "cannot be read: it is not a segment", []byte("hello"), false},
		{"a length of nothing in the middle", "is damaged at byte", append(bytes.Clone(whole[:len(magic)+head]), 0, 1, 2, 3), false},
		{"zeros, as a power cut leaves them", "as after a crash", append(bytes.Clone(whole[:len(whole)-20]), make([]byte, 4096)...), true},
		{"zeros alone", "as after a crash", make([]byte, 4096), true},
		{"empty", "as after a crash: it is empty", nil, true},
		{"the beginning of the magic", "as after a crash", []byte(magic[:3]), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "000000000000000a"+extension), c.b, 0o600); err != nil {
				t.Fatal(err)
			}
			out, _ := replayAll(t, dir, ReplayOptions{})
			if len(out.problems) != 1 || out.problems[0].Torn != c.torn || !strings.Contains(out.problems[0].Error(), c.says) {
				t.Fatalf("%v", out.problems)
			}
			if len(out.begins) == 0 && out.problems[0].Offset == 0 && out.problems[0].Segment != 10 {
				t.Errorf("its segment number is %x, want a", out.problems[0].Segment)
			}
		})
	}
}

// TestNoFile: only regular files are opened, because opening a pipe would block.
func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "0000000000000001"+extension)
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, pipe} {
		j, err := OpenDir(path)
		if err != nil {
			t.Fatal(err)
		}
		if s := j.Segments(); len(s) != 1 || s[0].Err == nil || s[0].Number != 1 || !strings.Contains(s[0].Err.Error(), "not a regular file") {
			t.Errorf("%s: %+v", path, s)
		}
	}
}

// reseal walks the records of a segment, lets edit change each one, and corrects their checksums.
func reseal(b []byte, edit func(n int, f *frame)) []byte {
	if len(b) < len(magic) {
		return b
	}
	out := bytes.Clone(b[:len(magic)])
	for off, n := len(magic), 0; off < len(b); n++ {
		f, size := loose(b[off:])
		if size == 0 {
			return append(out, b[off:]...)
		}
		off += size
		edit(n, &f)
		at := len(out)
		out = seal(append(begin(out, f.kind), f.payload...), at)
	}
	return out
}

// loose is next without the check of the checksum; size 0: there is no record.
func loose(b []byte) (frame, int) {
	d := decoder{b: b}
	n := d.uvarint()
	head := len(b) - len(d.b)
	if d.err != nil || n == 0 || n > uint64(len(d.b)) || uint64(len(d.b))-n < 4 {
		return frame{}, 0
	}
	return frame{kind: d.b[0], payload: bytes.Clone(d.b[1:n])}, head + int(n) + 4
}

// TestDivergenceIsNamed: a batch that differs from the recorded one stops the replay at its round.
func TestDivergenceIsNamed(t *testing.T) {
	whole := segmentOf(t, 6, 50)
	round := 0
	doctored := reseal(whole, func(_ int, f *frame) {
		if f.kind == kindRound {
			if round++; round == 21 {
				f.payload[2] ^= 1 // the check value of round 20
			}
		}
	})
	path := filepath.Join(t.TempDir(), "0000000000000001"+extension)
	if err := os.WriteFile(path, doctored, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := replayAll(t, path, ReplayOptions{})
	var diverged *DivergedError
	if !errors.As(err, &diverged) || diverged.Round != 20 || diverged.Segment != 1 || out.rounds != 19 || diverged.Wall.IsZero() {
		t.Fatalf("%v after %d rounds", err, out.rounds)
	}
}

// TestSnapshotsAreCompared: a segment whose snapshot differs from the state at the end of the previous segment is a divergence too.
func TestSnapshotsAreCompared(t *testing.T) {
	dir := t.TempDir()
	d := drive(t, dir, 7, Options{})
	for range 20 {
		d.round(2)
	}
	s := d.core.Snapshot()
	s.Repairs++
	d.w.Rotate(&s)
	d.round(1)
	d.flush()
	out, err := replayAll(t, dir, ReplayOptions{})
	var diverged *DivergedError
	if !errors.As(err, &diverged) || diverged.Round != 0 || diverged.Segment != 2 || out.rounds != 20 {
		t.Fatalf("%v after %d rounds", err, out.rounds)
	}
}

// TestNothingToRead: a missing directory, an empty one, and a file of another kind.
func TestNothingToRead(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "none")} {
		if _, err := OpenDir(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	path := filepath.Join(dir, "x"+extension)
	if err := os.WriteFile(path, []byte("else"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := replayAll(t, path, ReplayOptions{})
	var p *Problem
	if !errors.As(err, &p) || len(out.problems) != 1 {
		t.Errorf("%v", err)
	}
}

// FuzzSegment: no input makes the reader panic, with original or corrected checksums.
func FuzzSegment(f *testing.F) {
	whole := segmentOf(f, 8, 12)
	for _, fix := range []bool{false, true} {
		f.Add(whole, fix)
		f.Add(whole[:len(whole)/2], fix)
		f.Add([]byte(magic), fix)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte, fix bool) {
		if fix {
			b = reseal(b, func(int, *frame) {})
		}
		path := filepath.Join(dir, "0000000000000001"+extension)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := OpenDir(path)
		if err != nil {
			t.Fatal(err)
		}
		_ = j.Replay(ReplayOptions{}, func(s Step) error {
			s.Core.Snapshot()
			return nil
		})
	})
}
