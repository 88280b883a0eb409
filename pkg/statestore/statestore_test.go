package statestore_test

import (
	"testing"

	"github.com/taskscaler/taskscaler/internal/leakcheck"
	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/statestore/storetest"
)

func TestMain(m *testing.M) {
	killChild()
	holdChild()
	leakChild()
	leakcheck.Main(m)
}

func TestBoltConforms(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Subject {
		dir := t.TempDir() + "/group"
		return storetest.Subject{
			Open: func() (statestore.Store, error) { return statestore.OpenBolt(dir, statestore.BoltOptions{}) },
			File: dir + "/state.db",
		}
	})
}

func TestMemoryConforms(t *testing.T) {
	storetest.Run(t, func(testing.TB) storetest.Subject {
		m := statestore.NewMemory()
		opened := false
		return storetest.Subject{Open: func() (statestore.Store, error) {
			if opened {
				m = m.Reopen()
			}
			opened = true
			return m, nil
		}}
	})
}
