package fake

import (
	"slices"
	"testing"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// events returns the records of an instance so far.
func events(t *testing.T, records string) (all []record.Event, entries []record.Entry) {
	t.Helper()
	entries, err := record.ReadDir(records)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Event)
	}
	return all, entries
}

// TestRecordOfABusyInstanceThatHasToGo: the record shows that a command ran when the delete arrived.
func TestRecordOfABusyInstanceThatHasToGo(t *testing.T) {
	records := t.TempDir()
	g, id, c := oneInstance(t, `{"record_dir":"`+records+`"}`)
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("sleep 1000"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Decrease(t.Context(), []string{id}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the list to be empty", func() bool { return len(list(t, g)) == 0 })
	got, entries := events(t, records)
	want := []record.Event{record.Created, record.Booted, record.CommandStart, record.Deleting, record.CommandEnd, record.Deleted}
	if !slices.Equal(got, want) || entries[4].Signal != "KILL" {
		t.Errorf("%v, want %v: %+v", got, want, entries)
	}
}

// TestRecordOfAReclaim: the record has the notice before the end, even if a delete arrives between them.
func TestRecordOfAReclaim(t *testing.T) {
	for _, tc := range []struct {
		name, notice string
		deleted      bool
		want         []record.Event
	}{
		{"to its end", "300ms", false, []record.Event{record.Created, record.Booted, record.Reclaiming, record.Reclaimed}},
		{"deleted meanwhile", "10m", true, []record.Event{record.Created, record.Booted, record.Reclaiming, record.Deleting, record.Deleted}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			records := t.TempDir()
			g := newGroup(t, `{"record_dir":"`+records+`","seed":3,"spot":{"reclaim_per_hour":3600,"notice":"`+tc.notice+`"}}`)
			increase(t, g, 1)
			if tc.deleted {
				eventually(t, "the notice", func() bool {
					got, _ := events(t, records)
					return slices.Contains(got, record.Reclaiming)
				})
				for id := range list(t, g) {
					if _, err := g.Decrease(t.Context(), []string{id}); err != nil {
						t.Fatal(err)
					}
				}
			}
			eventually(t, "the list to be empty", func() bool { return len(list(t, g)) == 0 })
			if got, _ := events(t, records); !slices.Equal(got, tc.want) {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}
