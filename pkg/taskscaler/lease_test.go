package taskscaler

import (
	"testing"
)

func TestOneLease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		l := f.acquire("job-1")
		if l.Key() != "job-1" || l.InstanceID() != "i-0001" || l.Slot() != 0 || l.Use() != 1 {
			t.Errorf("lease = %q on %s slot %d use %d", l.Key(), l.InstanceID(), l.Slot(), l.Use())
		}
		if err := l.Release(); err != nil {
			t.Error(err)
		}
		t.Log(f.log)
	})
}
