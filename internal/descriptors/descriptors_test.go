package descriptors

import (
	"runtime"
	"testing"
)

func TestForClients(t *testing.T) {
	for _, c := range []struct {
		limit, groups, clients int
		short                  bool
	}{
		{1024, 1, 1024 - 204, false}, {1024, 2, 1024 - 376, false}, {1 << 20, 10, 1<<20 - 1752, false},
		{220, 1, 16, false}, {219, 1, 16, true}, {256, 2, 16, true}, {32, 1, 8, true}, {0, 1, 0, true},
	} {
		if got := ForClients(c.limit, c.groups); got != c.clients || Short(c.limit, c.groups) != c.short {
			t.Errorf("of %d with %d groups: %d, short %v", c.limit, c.groups, got, Short(c.limit, c.groups))
		}
	}
	for limit := range 5000 {
		if left := limit - ForClients(limit, 3); left < min(Reserve(3), limit*3/4) {
			t.Fatalf("a limit of %d leaves %d for the manager", limit, left)
		}
	}
}

func TestLimit(t *testing.T) {
	if got := Limit(); got < 64 {
		t.Errorf("the limit of %s is %d", runtime.GOOS, got)
	}
}
