package statestore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// A state file outlives the process that wrote it.
func Example() {
	ctx := context.Background()
	base, err := os.MkdirTemp("", "state")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(base) }()
	dir := filepath.Join(base, "builders")

	store, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = store.Commit(ctx, statestore.Commit{
		Changes: &record.Changes{Put: []record.Instance{{ID: "i-1", Serial: 1, State: record.Ready}}},
		Secrets: []statestore.Secret{{ID: "i-1", Value: []byte("its password")}},
	})
	fmt.Println("commit:", errors.Join(err, store.Close()))

	store, err = statestore.OpenBolt(dir, statestore.BoltOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = store.Close() }()
	loaded, err := store.Load(ctx)
	fmt.Println(loaded.State.Instances[0].ID, loaded.State.Instances[0].State, len(loaded.Secrets), err)
	// Output:
	// commit: <nil>
	// i-1 ready 1 <nil>
}

// A store of your own says with a PermanentError that a retry is useless.
func ExamplePermanentError() {
	err := &statestore.PermanentError{Err: errors.New("the lease on /taskscaler/builders went to another manager")}
	fmt.Println(statestore.IsPermanent(fmt.Errorf("commit: %w", err)))
	fmt.Println(statestore.IsPermanent(errors.New("the server does not answer")))
	// Output:
	// true
	// false
}
