package taskscaler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/internal/journal"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// said returns the complete content of a batch as text. Wall times are instants.
func said(b *scaler.Batch) string {
	c := *b
	c.Facts = slices.Clone(b.Facts)
	for i := range c.Facts {
		c.Facts[i].At.Wall = c.Facts[i].At.Wall.UTC()
	}
	meta := record.Meta{}
	if c.Changes.Meta != nil {
		meta = *c.Changes.Meta
	}
	c.Changes.Meta = nil
	return fmt.Sprintf("%+v|%+v", meta, c)
}

// witness records the content of a manager's batches.
type witness struct {
	mu   sync.Mutex
	said []string
}

func (w *witness) watch(t *Taskscaler) {
	t.inbox.ask(func(l *loop) {
		l.inspect = func(b *scaler.Batch) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.said = append(w.said, said(b))
		}
	})
}

// replay replays a journal. It returns the content of the batches of each life of the manager, from the first batch that can be replayed.
func replay(t *testing.T, dir string) (lives [][]string, segments int) {
	t.Helper()
	j, err := journal.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = j.Replay(journal.ReplayOptions{Report: func(p *journal.Problem) { t.Error(p) }}, func(s journal.Step) error {
		switch s.Begin {
		case journal.BeginNone:
			lives[len(lives)-1] = append(lives[len(lives)-1], said(s.Batch))
			return nil
		case journal.BeginGap:
			t.Errorf("a gap before segment %d", s.Segment)
		}
		if segments++; s.Begin == journal.BeginLife || lives == nil {
			lives = append(lives, nil)
		}
		return s.Core.Check()
	})
	if err != nil {
		t.Fatal(err)
	}
	return lives, segments
}

// same compares the recorded batches with the replayed ones. It compares from the end, because a witness may start late and the oldest
// segments are removed.
func same(t *testing.T, saw, again []string) {
	t.Helper()
	n := min(len(saw), len(again))
	if n < 20 {
		t.Fatalf("%d batches were recorded and %d replayed: too few to compare", len(saw), len(again))
	}
	saw, again = saw[len(saw)-n:], again[len(again)-n:]
	for i := range saw {
		if saw[i] != again[i] {
			t.Fatalf("batch %d of %d was\n%s\nand the replay has\n%s", i, n, saw[i], again[i])
		}
	}
}

// churn runs many callers at the same time, which use every call of the API.
func churn(ts *Taskscaler, callers, rounds int) {
	var wg sync.WaitGroup
	for c := range callers {
		rng := rand.New(rand.NewPCG(uint64(c), 77))
		wg.Go(func() {
			for i := range rounds {
				key := fmt.Sprintf("job-%d-%d", c, i)
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(200+rng.IntN(3000))*time.Microsecond)
				if rng.IntN(3) == 0 {
					_ = ts.Reserve(ctx, key)
				}
				l, err := ts.Acquire(ctx, key)
				if err == nil && rng.IntN(4) == 0 {
					ts.Detach(key)
					_, _ = ts.Reattach(ctx, key)
				}
				if err == nil && rng.IntN(6) == 0 {
					l, err = ts.Replace(ctx, key)
				}
				if err == nil && c == 0 && i == 20 { // only one, because several in a row open the runaway breaker
					_ = l.ReleaseUnhealthy(context.Background(), "it is broken")
				} else {
					_ = ts.Release(context.Background(), key)
				}
				cancel()
				ts.Unreserve(key)
			}
		})
	}
	wg.Wait()
}

func stopNow(t *testing.T, ts *Taskscaler) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := ts.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func churnConfig(t *testing.T) Config {
	cfg := Config{UpdateIntervalWhenExpecting: 5 * time.Millisecond, UpdateInterval: 20 * time.Millisecond}
	cfg.CapacityPerInstance, cfg.MaxInstances, cfg.MaxUseCount, cfg.Policies = 2, 6, 40, idle(t, 4, 30*time.Millisecond)
	return cfg
}

// TestReplayEquality: a new core that replays the journal makes the decisions of the manager: every change, command, answer, fact and wake-up
// time, byte for byte. The journal comes from full load, with a restart, a rotation and failed commits.
func TestReplayEquality(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	g, n := newGroup(), &testNet{}
	g.boot = 2 * time.Millisecond
	var fail sync.Mutex
	failures := 0
	store := newStore()
	store.set(func(context.Context, statestore.Commit) error {
		fail.Lock()
		defer fail.Unlock()
		if failures++; failures == 40 || failures == 41 || failures == 150 {
			return errors.New("the disk is full")
		}
		return nil
	})
	open := func(s statestore.Store) (*Taskscaler, *witness) {
		t.Helper()
		ts, err := New(t.Context(), g, churnConfig(t), WithDialer(n.dial), WithStore(s), WithJournal(dir, JournalOptions{MaxBytes: 1 << 20, Version: "test"}))
		if err != nil {
			t.Fatal(err)
		}
		w := &witness{}
		w.watch(ts)
		return ts, w
	}
	first, saw := open(store)
	churn(first, 12, 250)
	if err := first.Reload(t.Context(), func() Config { c := churnConfig(t); c.CapacityPerInstance = 3; return c }()); err != nil {
		t.Fatal(err)
	}
	churn(first, 12, 50)
	patient, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	if _, err := first.Acquire(patient, "held over the restart"); err != nil {
		t.Fatal(err)
	}
	next := store.Reopen()
	stopNow(t, first)
	g = g.restart()
	second, sawAgain := open(next)
	if _, err := second.Reattach(t.Context(), "held over the restart"); err != nil {
		t.Error(err)
	}
	churn(second, 12, 60)
	if err := second.FlushJournal(t.Context()); err != nil {
		t.Fatal(err)
	}
	lives, segments := replay(t, dir)
	if len(lives) != 2 || segments < 4 {
		t.Fatalf("%d lives in %d segments", len(lives), segments)
	}
	stopNow(t, second)
	lives, _ = replay(t, dir)
	same(t, saw.said, lives[0])
	same(t, sawAgain.said, lives[1])
	if failures < 151 {
		t.Errorf("only %d commits", failures)
	}
}

// TestJournalIsBounded: if the limit is reached, the oldest files are removed, and the remaining ones can be replayed.
func TestJournalIsBounded(t *testing.T) {
	dir := t.TempDir()
	g, n := newGroup(), &testNet{}
	g.boot = 0
	const most = 200 << 10
	ts, err := New(t.Context(), g, churnConfig(t), WithDialer(n.dial), WithJournal(dir, JournalOptions{MaxBytes: most}))
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{}
	w.watch(ts)
	churn(ts, 12, 500)
	stopNow(t, ts)
	lives, segments := replay(t, dir)
	if len(lives) != 1 || segments < 3 || len(lives[0]) >= len(w.said) {
		t.Errorf("%d lives, %d segments, %d of %d batches", len(lives), segments, len(lives[0]), len(w.said))
	}
	same(t, w.said, lives[0])
	total := int64(0)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > most {
		t.Errorf("%d bytes", total)
	}
}

// TestBugIsInTheJournal: if the core finds a bug, the round that found it is on disk when the manager has stopped.
func TestBugIsInTheJournal(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T) {
		f := start(t, WithJournal(dir, JournalOptions{}))
		f.acquire("job")
		f.inbox.ask(func(l *loop) { l.inspect = func(b *scaler.Batch) { b.Bug = errors.New("slot 0 is taken twice") } })
		synctest.Wait()
		if _, err := f.Acquire(context.Background(), "the last key"); err == nil {
			t.Fatal("the manager did not stop")
		}
		<-f.Done()
		found := false
		j, err := journal.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		err = j.Replay(journal.ReplayOptions{}, func(s journal.Step) error {
			for _, ev := range s.Events {
				found = found || ev.Key == "the last key"
			}
			return nil
		})
		if err != nil || !found {
			t.Errorf("found: %v, %v", found, err)
		}
		_ = f.Shutdown(t.Context()) // its error is the StopError
	})
}

// TestNoJournalIsNoTrouble: if the directory cannot be created, the log has one warning, and the manager works.
func TestNoJournalIsNoTrouble(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bubble(t, func(t *testing.T) {
		f := start(t, WithJournal(filepath.Join(file, "journal"), JournalOptions{}))
		defer f.end()
		f.acquire("job")
		if f.Journal() != "" || f.FlushJournal(t.Context()) != nil || !f.log.has("no journal is kept") {
			t.Errorf("journal %q\n%s", f.Journal(), f.log)
		}
	})
}

// TestJournalHasNoSecrets: no credentials are in the files, neither compressed nor plain, although they were in the group's answers, in the
// configuration and in the store.
func TestJournalHasNoSecrets(t *testing.T) {
	dir := t.TempDir()
	secrets := []string{"pa55word-of-the-machine", "-----BEGIN KEY of the machine", "pa55word-of-the-config", "-----BEGIN KEY of the config"}
	bubble(t, func(t *testing.T) {
		f := start(t, WithJournal(dir, JournalOptions{}), withConfig(func(c *Config) {
			c.Connector.Password, c.Connector.Key = secrets[2], []byte(secrets[3])
		}), withGroup(func(g *testGroup) {
			g.onConnect = func(_ context.Context, id string) (provider.ConnectInfo, error) {
				info := provider.ConnectInfo{ID: id, InternalAddr: "192.0.2.1"}
				info.Password, info.Key = secrets[0], []byte(secrets[1])
				return info, nil
			}
		}))
		l := f.acquire("job")
		info, err := l.ConnectInfo(t.Context())
		if err != nil || info.Password != secrets[0] {
			t.Fatalf("the secret is not in the connect info: %v", err)
		}
		if err := f.Reload(t.Context(), f.cfg); err != nil {
			t.Fatal(err)
		}
		f.acquire("second")
		time.Sleep(time.Minute)
		f.end()
	})
	seen := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, s := range secrets {
			if bytes.Contains(data, []byte(s)) {
				t.Errorf("%s holds %q", path, s)
			}
		}
		if bytes.Contains(data, []byte("second")) { // this proves that plain text can be found: callers' keys are not compressed
			seen++
		}
		return err
	})
	if err != nil || seen == 0 {
		t.Fatalf("%d, %v", seen, err)
	}
	j, err := journal.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = j.Replay(journal.ReplayOptions{}, func(s journal.Step) error {
		text := fmt.Sprintf("%+v %+v %+v", s.Core.Snapshot(), s.Events, *s.Batch)
		for _, ev := range s.Events {
			if ev.Config != nil {
				text += fmt.Sprintf("%+v", *ev.Config)
			}
		}
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("round %d holds %q", s.Round, secret)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
