package compat

import (
	"path/filepath"
	"testing"

	"github.com/taskscaler/taskscaler/internal/journal"
)

// replayed is one round, or the beginning of a segment, as far as it is compared.
type replayed struct {
	Segment  uint64 `json:"segment"`
	Round    int    `json:"round"` // in the segment, from 1; 0: its beginning
	Begin    uint8  `json:"begin"`
	Wall     int64  `json:"wall"` // Unix nanoseconds
	Mono     int64  `json:"mono"` // nanoseconds
	Events   int    `json:"events"`
	Check    uint32 `json:"check"` // of the batch
	Put      int    `json:"put"`   // records, as the five below
	Drop     int    `json:"drop"`
	Commands int    `json:"commands"`
	Grants   int    `json:"grants"`
	Facts    int    `json:"facts"`
}

// TestReplay replays the old journal: no damage, no divergence, and each round decides what it decided then.
func TestReplay(t *testing.T) {
	want := lines[replayed](t, "testdata/rounds.jsonl.gz")
	j, err := journal.OpenDir(filepath.Join(unpack(t), "journal"))
	if err != nil {
		t.Fatal(err)
	}
	n, differences := 0, 0
	err = j.Replay(journal.ReplayOptions{Report: func(p *journal.Problem) { t.Error(p) }}, func(s journal.Step) error {
		b := s.Batch
		got := replayed{
			Segment: s.Segment, Round: s.Round, Begin: uint8(s.Begin), Wall: s.Now.Wall.UnixNano(), Mono: int64(s.Now.Mono), Events: len(s.Events),
			Check: journal.Check(b), Put: len(b.Changes.Put), Drop: len(b.Changes.Drop), Commands: len(b.Commands), Grants: len(b.Grants),
			Facts: len(b.Facts),
		}
		if n < len(want) && got != want[n] {
			if differences++; differences <= 10 {
				t.Errorf("round %d:\nwas %+v\nis  %+v", n, want[n], got)
			}
		}
		n++
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if n != len(want) || differences > 0 {
		t.Errorf("%d rounds were replayed, %d of them differ; the old code replayed %d", n, differences, len(want))
	}
}
