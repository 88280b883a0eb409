package record_test

import (
	"testing"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestEmpty: a state is empty only if nothing was ever stored. A fleet that is at zero now has a past: whatever is found beside it was not there
// before, and is not the first find of a new manager.
func TestEmpty(t *testing.T) {
	for name, c := range map[string]struct {
		saved record.Saved
		empty bool
	}{
		"nothing":               {record.Saved{}, true},
		"an instance":           {record.Saved{Instances: []record.Instance{{ID: "i-1"}}}, false},
		"an open create":        {record.Saved{Intents: []record.Intent{{Op: 1}}}, false},
		"creates in the past":   {record.Saved{Meta: record.Meta{LastOp: 7}}, false},
		"instances in the past": {record.Saved{Meta: record.Meta{LastSerial: 7}}, false},
	} {
		if got := c.saved.Empty(); got != c.empty {
			t.Errorf("%s: Empty() = %v", name, got)
		}
	}
}

// TestNothingToCommit: every kind of change alone is something to commit, also one that only forgets.
func TestNothingToCommit(t *testing.T) {
	for name, c := range map[string]struct {
		changes record.Changes
		empty   bool
	}{
		"nothing":            {record.Changes{}, true},
		"an instance":        {record.Changes{Put: []record.Instance{{ID: "i-1"}}}, false},
		"forgets":            {record.Changes{Drop: []record.ID{"i-1"}}, false},
		"a create":           {record.Changes{PutIntents: []record.Intent{{Op: 1}}}, false},
		"forgets a create":   {record.Changes{DropIntents: []uint64{1}}, false},
		"the fleet's counts": {record.Changes{Meta: &record.Meta{}}, false},
	} {
		if got := c.changes.Empty(); got != c.empty {
			t.Errorf("%s: Empty() = %v", name, got)
		}
	}
}
