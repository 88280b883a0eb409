package journal

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// faulty is a disk that fails or hangs on demand.
type faulty struct {
	full atomic.Bool
	gate atomic.Pointer[chan struct{}] // writes wait for it; nil: they do not wait
	made atomic.Int64
}

type faultyFile struct {
	io.WriteCloser
	f *faulty
}

func (f faultyFile) Write(p []byte) (int, error) {
	if g := f.f.gate.Load(); g != nil {
		<-*g
	}
	if f.f.full.Load() {
		n, _ := f.WriteCloser.Write(p[:len(p)/2])
		return n, syscall.ENOSPC
	}
	return f.WriteCloser.Write(p)
}

// failing replaces a driver's disk by a faulty one. Call it before anything is written.
func failing(d *driver) *faulty {
	f := &faulty{}
	d.w.disk.create = func(path string) (io.WriteCloser, error) {
		f.made.Add(1)
		file, err := createFile(path)
		return faultyFile{file, f}, err
	}
	return f
}

// TestWithinASecond: a round is in the file one second later, without a Flush.
func TestWithinASecond(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := drive(t, dir, 11, Options{})
		d.round(3)
		time.Sleep(delay + time.Millisecond)
		synctest.Wait()
		for n := range 5 {
			out, err := replayAll(t, dir, ReplayOptions{}, d)
			if err != nil || out.rounds != n+1 {
				t.Fatalf("after round %d: %+v %v", n+1, out, err)
			}
			d.round(3)
			time.Sleep(delay + time.Millisecond)
			synctest.Wait()
		}
		if err := d.w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestDiskFull: writes fail for a while, in the middle of a record. The owner is not affected, and there is one warning. Then a new segment
// begins after the gap, and it replays.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		log := &logs{}
		d := drive(t, dir, 12, Options{Log: log.logger()})
		f := failing(d)
		for range 50 {
			d.round(3)
		}
		d.flush()
		f.full.Store(true)
		for range 50 {
			d.round(3)
		}
		if err := d.w.Flush(t.Context()); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("Flush: %v", err)
		}
		for range 20 { // the probe succeeds, but a new segment fails again
			time.Sleep(time.Minute)
			synctest.Wait()
			d.round(3)
		}
		if n := log.count("level=WARN"); n != 1 {
			t.Fatalf("%d warnings:\n%s", n, log.text.String())
		}
		if n := f.made.Load(); n < 2 || n > 25 {
			t.Errorf("%d segments were tried", n)
		}
		f.full.Store(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		lost := len(d.times)
		for range 30 {
			d.round(3)
		}
		d.flush()
		out, err := replayAll(t, dir, ReplayOptions{}, d)
		if err != nil || out.rounds < 50+29 || out.rounds >= lost || out.last != d.times[len(d.times)-1] || out.begins[len(out.begins)-1] != BeginGap {
			t.Fatalf("%+v %v", out, err)
		}
		for _, p := range out.problems {
			if !p.Torn {
				t.Errorf("problem %v", p)
			}
		}
		if log.count("level=WARN") != 1 || log.count("is written again") != 1 {
			t.Errorf("log:\n%s", log.text.String())
		}
		if err := d.w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestSlowDisk: writes hang. What does not fit in memory is dropped, the owner never waits, and the journal continues after a gap.
func TestSlowDisk(t *testing.T) {
	dir := t.TempDir()
	d := drive(t, dir, 13, Options{})
	f := failing(d)
	d.round(1)
	d.flush()
	gate := make(chan struct{})
	f.gate.Store(&gate)
	ev := []scaler.Event{{Kind: scaler.EvListFailed, Failure: failure.Failure{Kind: failure.Transient, Message: strings.Repeat("x", 900)}}}
	for range 2 * maxPending / maxMessage { // returns although nothing can be written
		d.now.Mono++
		d.w.Round(d.now, ev)
		d.core.Step(d.now, ev[0])
		d.w.Taken(d.core.Take())
	}
	if len(ev[0].Failure.Message) != maxMessage {
		t.Errorf("the core received a message of %d bytes", len(ev[0].Failure.Message))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.w.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Flush: %v", err)
	}
	f.gate.Store(nil)
	close(gate)
	for deadline := time.Now().Add(hang); !d.w.Due(); time.Sleep(time.Millisecond) { // the writer, a goroutine on real files, asks for it
		if time.Now().After(deadline) {
			t.Fatal("Due never returned true")
		}
	}
	for range 10 {
		d.round(2)
	}
	d.flush()
	var begins []Begin
	j, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	last := time.Duration(0)
	err = j.Replay(ReplayOptions{Report: func(p *Problem) { t.Error(p) }}, func(s Step) error {
		if s.Begin != BeginNone {
			begins = append(begins, s.Begin)
		}
		last = s.Now.Mono
		return nil
	})
	if err != nil || !slices.Equal(begins, []Begin{BeginLife, BeginGap}) || last != d.now.Mono {
		t.Errorf("%v, %v, last %v", begins, err, last)
	}
}

// TestDirectoryGoes: when the state directory of a running manager is removed, the journal's writer does not stop. It continues when the
// directory exists again. The manager itself stops at its next commit, because its state file is gone: the state store tests that.
func TestDirectoryGoes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "journal")
	synctest.Test(t, func(t *testing.T) {
		d := drive(t, dir, 14, Options{})
		d.flush()
		if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
			t.Fatal(err)
		}
		s := d.core.Snapshot()
		d.w.Rotate(&s)
		d.round(1)
		if err := d.w.Flush(t.Context()); !errors.Is(err, errRemoved) {
			t.Errorf("Flush: %v", err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if err := os.Mkdir(filepath.Dir(dir), 0o700); err != nil { // the journal does not create it
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		d.round(1)
		d.round(1)
		d.flush()
		if out, err := replayAll(t, dir, ReplayOptions{}, d); err != nil || out.rounds != 1 {
			t.Errorf("%+v %v", out, err)
		}
		if err := d.w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestFilesAreRemoved: after an operator deletes the directory or the open file of a running manager, a new one exists within seconds, with
// one warning and after a gap. Nothing is written to a file that has no name any more.
func TestFilesAreRemoved(t *testing.T) {
	for _, all := range []bool{true, false} {
		dir := filepath.Join(t.TempDir(), "journal")
		synctest.Test(t, func(t *testing.T) {
			log := &logs{}
			d := drive(t, dir, 17, Options{Log: log.logger()})
			d.round(3)
			d.flush()
			gone := dir
			if !all {
				gone = filepath.Join(dir, "0000000000000001"+extension)
			}
			if err := os.RemoveAll(gone); err != nil {
				t.Fatal(err)
			}
			d.round(3)
			if err := d.w.Flush(t.Context()); !errors.Is(err, errRemoved) {
				t.Fatalf("Flush: %v", err)
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
			d.round(3)
			d.round(3)
			d.flush()
			out, err := replayAll(t, dir, ReplayOptions{}, d)
			if err != nil || out.rounds != 1 || !slices.Equal(out.begins, []Begin{BeginGap}) || len(out.problems) > 0 {
				t.Errorf("%+v %v", out, err)
			}
			if log.count("level=WARN") != 1 || log.count("is written again") != 1 {
				t.Errorf("log:\n%s", log.text.String())
			}
			if err := d.w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestOldSegmentsAreRemovedByHand: somebody who frees space removes old files. The journal goes on, within its size, without a gap.
func TestOldSegmentsAreRemovedByHand(t *testing.T) {
	dir := t.TempDir()
	d := drive(t, dir, 18, Options{MaxBytes: 128 << 10})
	segments := func() []string {
		t.Helper()
		all, err := filepath.Glob(filepath.Join(dir, "*"+extension))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	more := func() {
		t.Helper()
		if d.w.Due() {
			s := d.core.Snapshot()
			d.w.Rotate(&s)
		}
		d.round(5)
		d.flush()
	}
	for len(segments()) < 3 {
		more()
	}
	old := segments()
	for _, path := range old[:len(old)-1] {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for last := old[len(old)-1]; slices.Contains(segments(), last); { // until the journal has removed this one
		more()
	}
	if size, _ := size(t, dir); size > 128<<10 {
		t.Errorf("the journal has %d bytes", size)
	}
	if out, err := replayAll(t, dir, ReplayOptions{}, d); err != nil || slices.Contains(out.begins, BeginGap) || len(out.problems) > 0 {
		t.Errorf("%+v %v", out, err)
	}
}

// TestClosed: after Close nothing is recorded, nothing panics, and Flush returns ErrClosed.
func TestClosed(t *testing.T) {
	dir := t.TempDir()
	d := drive(t, dir, 15, Options{})
	d.round(2)
	if err := d.w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.w.Close(); err != nil {
		t.Fatal(err)
	}
	d.round(2)
	s := d.core.Snapshot()
	d.w.Rotate(&s)
	if err := d.w.Flush(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Flush: %v", err)
	}
	if out, err := replayAll(t, dir, ReplayOptions{}, d); err != nil || out.rounds != 1 {
		t.Errorf("%+v %v", out, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, Options{}); err == nil {
		t.Error("Open accepted a file as the directory")
	}
}

// TestCut: the text is cut between characters.
func TestCut(t *testing.T) {
	for _, text := range []string{
		"", "short", strings.Repeat("é", 600), "a" + strings.Repeat("é", 600), strings.Repeat("€", 400), strings.Repeat("𝄞", 300), "x" + strings.Repeat("𝄞", 300),
		"bad \xff\xfe byte", strings.Repeat("\xff", 900), strings.Repeat("a", 511) + "\xf0\x9d\x84",
	} {
		got := cut(text)
		if len(got) > maxMessage || !utf8.ValidString(got) || utf8.ValidString(text) && !strings.HasPrefix(text, got) || len(text) > 520 && len(got) < 500 && utf8.ValidString(text) {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// TestEventsTravel: decoding returns every field of an event that was encoded.
func TestEventsTravel(t *testing.T) {
	cfg := config(t)
	in := []scaler.Event{
		{Kind: scaler.EvAcquire, Key: "k", Ticket: 9, Deadline: 700},
		{Kind: scaler.EvRelease, Key: record.Key(strings.Repeat("k", 300)), Ticket: 3, Cause: record.CauseUnhealthy},
		{Kind: scaler.EvReplace, Key: "\xff\x00", Ticket: 1 << 63, Deadline: -5},
		{Kind: scaler.EvChanged, ID: "i", Listed: fleet.ListedDeleted},
		{Kind: scaler.EvListed, Since: 12},
		{Kind: scaler.EvIncreased, Op: 7, Count: -3, Away: true, Failure: failure.Failure{Kind: failure.Quota, RetryAfter: -1, Message: "m"}},
		{Kind: scaler.EvPrepared, Op: 1 << 40, ID: "i", Serial: 1 << 50},
		{Kind: scaler.EvReload, Config: &cfg}, {Kind: scaler.EvDrain, On: true}, {Kind: scaler.EvWake},
	}
	var b []byte
	var err error
	out, from := state{mono: 100}, state{mono: 100}
	for i := range in {
		if b, err = appendEvent(b, &out, &in[i]); err != nil {
			t.Fatal(err)
		}
	}
	d := decoder{b: b}
	for i := range in {
		got := d.event(&from)
		if in[i].Config != nil {
			if !reflect.DeepEqual(got.Config.Schedule, cfg.Schedule) || got.Config.Capacity != cfg.Capacity {
				t.Errorf("%+v", got.Config)
			}
			got.Config = in[i].Config
		}
		if got != in[i] || d.err != nil {
			t.Errorf("%+v came back as %+v, %v", in[i], got, d.err)
		}
	}
	if len(d.b) > 0 || out != from {
		t.Errorf("%d bytes are left", len(d.b))
	}
}
