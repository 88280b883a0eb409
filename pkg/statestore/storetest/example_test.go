package storetest_test

import (
	"testing"

	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/statestore/storetest"
)

// The test of a store: one function. Here it tests the store in memory.
func Example() {
	_ = func(t *testing.T) { // func TestMyStore(t *testing.T)
		storetest.Run(t, func(testing.TB) storetest.Subject {
			store := statestore.NewMemory()
			return storetest.Subject{Open: func() (statestore.Store, error) {
				store = store.Reopen() // a store on a server connects to it here
				return store, nil
			}}
		})
	}
}
