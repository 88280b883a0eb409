// Package locks expects company.
package locks

import (
	"sync"
	"sync/atomic"
)

type t struct {
	mu sync.Mutex   // want "lock"
	n  atomic.Int64 // want "lock"
}

func (t *t) f() {
	t.mu.Lock()        // want "lock"
	t.n.Add(1)         // want "lock"
	var once sync.Once // want "lock"
	once.Do(t.f)       // want "lock"
}
