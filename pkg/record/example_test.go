package record_test

import (
	"fmt"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// A store keeps what Apply says: whole records, so that the same changes may be applied twice.
func Example() {
	changes := &record.Changes{
		Put: []record.Instance{
			{ID: "i-1", Serial: 1, State: record.Ready, Leases: []record.Lease{{Key: "job-7"}}},
			{ID: "i-2", Serial: 2, State: record.Deleting, Cause: record.CauseIdle},
		},
		PutIntents: []record.Intent{{Op: 3, Asked: 2, Open: 2}},
	}
	var state record.Saved
	state.Apply(changes)
	state.Apply(changes)
	for _, i := range state.Instances {
		fmt.Println(i.ID, i.State, i.Cause, len(i.Leases))
	}
	fmt.Println(len(state.Intents), "unfinished create")
	// Output:
	// i-1 ready none 1
	// i-2 deleting idle 0
	// 1 unfinished create
}
