package explain_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/explain"
	"github.com/taskscaler/taskscaler/internal/explain/explaintest"
	"github.com/taskscaler/taskscaler/internal/journal"
	"github.com/taskscaler/taskscaler/internal/scaler"
)

// text returns the text of a document.
func text(t *testing.T, d *explain.Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := d.Text(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFromJournal: the journal of every script, in many segments, gives the same explanation as the script itself.
func TestFromJournal(t *testing.T) {
	for _, s := range scripts {
		t.Run(s.name, func(t *testing.T) {
			r := s.play(t)
			dir := t.TempDir()
			r.Journal(dir, 7)
			questions := map[string]explain.Question{"now": {}}
			for name, q := range s.questions {
				questions[name] = q
			}
			for name, q := range questions {
				q.Location, q.Now, q.Last = seoul, r.Now.Wall, 30
				want, err := explain.Answer(q, r.Feed)
				if err != nil {
					t.Fatal(err)
				}
				got, err := explain.Answer(q, explain.FromJournal(t.Context(), dir))
				if err != nil {
					t.Fatal(err)
				}
				if g, w := text(t, got), text(t, want); g != w {
					t.Errorf("%s: got\n%s\nwant\n%s", name, g, w)
				}
			}
		})
	}
}

// replay runs `taskscaler replay` with q.
func replay(t *testing.T, q explain.ReplayRequest) (string, error) {
	t.Helper()
	var out bytes.Buffer
	q.Out, q.Location, q.Now = &out, time.UTC, explaintest.Start.Add(time.Hour)
	err := explain.Replay(t.Context(), q)
	return out.String(), err
}

func TestReplay(t *testing.T) {
	r := restarts(t)
	dir := t.TempDir()
	r.Journal(dir, 10)
	out, err := replay(t, explain.ReplayRequest{Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2026-03-02 12:00:00 asked the provider for 2 instances: needed 2 = leased 0 + waiting 2", "2026-03-02 12:00:35 revoked the lease of \"b\" on instance i-2",
		"there is   1 instance of at most 2: 1 ready", "replayed 67 rounds, 77 events, 2 manager runs, from 2026-03-02 12:00:00 to 2026-03-02 12:01:00\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	out, err = replay(t, explain.ReplayRequest{Path: dir, Until: "12:00:20"})
	if err != nil || strings.Contains(out, "revoked") || !strings.Contains(out, "to 2026-03-02 12:00:20\n") || !strings.Contains(out, "2 leases") {
		t.Errorf("until: %v\n%s", err, out)
	}
	for until, want := range map[string]string{"11:00": "is before the journal begins", "noon": "--until"} {
		if _, err := replay(t, explain.ReplayRequest{Path: dir, Until: until}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("until %s: %v", until, err)
		}
	}
	if _, err := replay(t, explain.ReplayRequest{Path: t.TempDir()}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no journal: %v", err)
	}
	var progress bytes.Buffer
	if _, err := replay(t, explain.ReplayRequest{Path: dir, Progress: &progress}); err != nil || progress.Len() > 0 {
		t.Errorf("a short replay: %v, %q", err, progress.String())
	}
	ended, end := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	end(interrupted)
	if err := explain.Replay(ended, explain.ReplayRequest{Path: dir, Out: &bytes.Buffer{}}); !errors.Is(err, interrupted) {
		t.Errorf("an interrupted replay: %v", err)
	}
}

func TestReplayJSON(t *testing.T) {
	dir := t.TempDir()
	maxInstances(t).Journal(dir, 0)
	out, err := replay(t, explain.ReplayRequest{Path: dir, JSON: true})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var first struct{ Schema string }
	var record struct{ Record *explain.Record }
	var last struct{ End *explain.ReplayEnd }
	if err := errors.Join(json.Unmarshal([]byte(lines[0]), &first), json.Unmarshal([]byte(lines[3]), &record),
		json.Unmarshal([]byte(lines[len(lines)-1]), &last)); err != nil {
		t.Fatal(err)
	}
	if first.Schema != explain.ReplaySchema || record.Record.Kind != explain.KindCreate || record.Record.Sizing.Needed != 1 ||
		last.End.Journal.Events != 46 || last.End.State == nil || last.End.Problems == nil {
		t.Errorf("%s\n%s\n%s", lines[0], lines[3], lines[len(lines)-1])
	}
}

// segments returns the files of a journal, the oldest first.
func segments(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 3 {
		t.Fatalf("%q, %v", files, err)
	}
	return files
}

func TestReplayDamage(t *testing.T) {
	r := restarts(t)
	t.Run("torn", func(t *testing.T) {
		dir := t.TempDir()
		r.Journal(dir, 0)
		f, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(f) != 2 {
			t.Fatalf("%q, %v", f, err)
		}
		info, err := os.Stat(f[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(f[1], info.Size()-9); err != nil {
			t.Fatal(err)
		}
		out, err := replay(t, explain.ReplayRequest{Path: dir})
		if err != nil || !strings.Contains(out, "as after a crash") {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("gap", func(t *testing.T) {
		dir := t.TempDir()
		r.Journal(dir, 4)
		if err := os.Remove(segments(t, dir)[1]); err != nil {
			t.Fatal(err)
		}
		out, err := replay(t, explain.ReplayRequest{Path: dir})
		if err != nil || !strings.Contains(out, "with 1 gap") || !strings.Contains(out, "the events before this are missing from the journal") {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("the end of a life is gone", func(t *testing.T) {
		dir := t.TempDir()
		r.Journal(dir, 10)
		if err := os.Remove(segments(t, dir)[1]); err != nil {
			t.Fatal(err)
		}
		out, err := replay(t, explain.ReplayRequest{Path: dir})
		if err != nil || !strings.Contains(out, "the events before the manager's start at 12:00:15 are missing from the journal") {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("the first is gone", func(t *testing.T) {
		dir := t.TempDir()
		r.Journal(dir, 10)
		if err := os.Remove(segments(t, dir)[0]); err != nil {
			t.Fatal(err)
		}
		d, err := explain.Answer(explain.Question{Key: "a"}, explain.FromJournal(t.Context(), dir))
		if err != nil || d.Journal.Gaps != 0 || d.Journal.Lives != 2 || len(d.Key.Leases) == 0 {
			t.Errorf("%v\n%+v", err, d)
		}
	})
	t.Run("diverged", func(t *testing.T) {
		dir := t.TempDir()
		r.Forge(dir, func(c *scaler.Config) { c.MaxInstances = 1 })
		out, err := replay(t, explain.ReplayRequest{Path: dir})
		var diverged *journal.DivergedError
		if !errors.As(err, &diverged) || !strings.Contains(out, "the replay decided differently") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}
