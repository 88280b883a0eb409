package taskscaler

import (
	"context"
	"time"

	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// storeCheck is how often an idle manager checks that its store still works. A busy one notices it at its next commit.
const storeCheck = time.Second

// watchStore tells the loop when the store says that a commit would fail.
func (t *Taskscaler) watchStore(ctx context.Context, store statestore.Checker) {
	ticker := time.NewTicker(storeCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.dead:
			return
		case <-ticker.C:
		}
		if t.health.trouble.Load() == nil && store.Check() != nil {
			t.inbox.doubt()
		}
	}
}

// checkStore treats a store that says that a commit would fail like a commit that fails: it is retried until the store works again, and nothing
// is granted, created or deleted until then.
func (l *loop) checkStore() error {
	l.before = l.core.Summary()
	return l.persist(statestore.Commit{})
}

// put stores c. An empty commit only checks the store.
func (t *Taskscaler) put(c statestore.Commit) error {
	if !c.Empty() {
		return t.store.Commit(t.commitCtx, c)
	}
	if store, ok := t.store.(statestore.Checker); ok {
		return store.Check()
	}
	return nil
}
