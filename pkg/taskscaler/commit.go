package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// A failed commit is retried after commitRetryMin. The time doubles with each retry, up to commitRetryMax. After commitPatience the manager
// stops. A permanent error (statestore.IsPermanent) is not retried.
const (
	commitRetryMin = 100 * time.Millisecond
	commitRetryMax = 10 * time.Second
	commitPatience = 5 * time.Minute
	commitSlow     = 5 * time.Second // a commit that takes longer makes the manager unready
)

// trouble describes consecutive failures of the current commit.
type trouble struct {
	err      error
	since    time.Time
	failures int
}

// commit stores the batch, and then updates the vault. While commits fail, the loop processes no event and dispatches nothing; it only
// serves queries.
func (l *loop) commit(b *scaler.Batch) error {
	c := statestore.Commit{Changes: &b.Changes, Secrets: l.secretsOf(&b.Changes)}
	if c.Empty() {
		return nil
	}
	if err := l.persist(c); err != nil {
		return err
	}
	l.keep(&b.Changes)
	return nil
}

// persist tries the commit again until it succeeds, or until the manager must stop.
func (l *loop) persist(c statestore.Commit) error {
	began, wait := l.t.clock.Mono(), commitRetryMin
	l.t.health.commitSince.Store(int64(began) + 1)
	defer l.t.health.commitSince.Store(0)
	for {
		err, dead := l.write(c)
		if dead != nil {
			return dead
		}
		if err == nil {
			l.recovered()
			return nil
		}
		l.failed(err)
		if statestore.IsPermanent(err) {
			return &StopError{Reason: "the state cannot be committed, and a retry does not help",
				Err: withRemedy(err, "repair or replace the state directory, then start the manager again")}
		}
		if l.t.clock.Mono()-began >= commitPatience {
			return &StopError{Reason: fmt.Sprintf("the state could not be committed for %s", commitPatience),
				Err: withRemedy(err, "check the disk of the state directory, then start the manager again")}
		}
		if err := l.pause(wait); err != nil {
			return err
		}
		wait = min(wait*2, commitRetryMax)
	}
}

// withRemedy says what to do, unless err does.
func withRemedy(err error, remedy string) error {
	var replaced *statestore.ReplacedError
	if errors.As(err, &replaced) {
		return err
	}
	return fmt.Errorf("%w; %s", err, remedy)
}

// write makes one attempt. It unlocks mu meanwhile, so that the watchdog can stop the manager; dead is the error if it did.
func (l *loop) write(c statestore.Commit) (err, dead error) {
	l.mu.Unlock()
	err = l.t.put(c)
	l.mu.Lock()
	select {
	case <-l.t.dead:
		return err, l.t.stopped()
	default:
		return err, nil
	}
}

func (l *loop) failed(err error) {
	if l.trouble == nil {
		_, wall := l.t.clock.Now()
		l.trouble = &trouble{since: wall}
	}
	next := *l.trouble
	next.err, next.failures = err, next.failures+1
	l.trouble = &next
	l.t.health.trouble.Store(l.trouble)
	if l.obs.Commit != nil {
		l.obs.Commit(err, l.trouble.failures)
	}
}

func (l *loop) recovered() {
	if l.trouble == nil {
		return
	}
	if l.obs.Commit != nil {
		l.obs.Commit(nil, l.trouble.failures)
	}
	l.trouble = nil
	l.t.health.trouble.Store(nil)
}

// pause waits for d and serves queries meanwhile. It returns an error if the manager must stop.
func (l *loop) pause(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	defer l.t.inbox.rouse()
	for {
		if queries := l.t.inbox.takeQueries(); len(queries) > 0 {
			for _, q := range queries {
				q(l)
			}
			continue
		}
		select {
		case <-timer.C:
			return nil
		case <-l.t.inbox.wake:
		case <-l.t.commitCtx.Done():
			return &StopError{Reason: "Shutdown was called while the state could not be committed",
				Err: fmt.Errorf("%w; the last changes are not stored: check the disk of the state directory", context.Cause(l.t.commitCtx))}
		}
	}
}

// secretsOf returns the secrets of this mail that belong to current instances, for the store. It drops the others: a preparation may end
// after its instance is gone.
func (l *loop) secretsOf(c *record.Changes) []statestore.Secret {
	if len(l.mail.secrets) == 0 {
		return nil
	}
	var out []statestore.Secret
	kept := l.mail.secrets[:0]
	for _, s := range l.mail.secrets {
		if l.current(&s, c) {
			out = append(out, statestore.Secret{ID: s.id, Value: s.stored.Reveal()})
			kept = append(kept, s)
		}
	}
	l.mail.secrets = kept
	return out
}

func (l *loop) current(s *access, c *record.Changes) bool {
	for i := range c.Put {
		if c.Put[i].ID == s.id {
			return c.Put[i].Serial == s.serial && c.Put[i].State != record.Gone
		}
	}
	known, ok := l.t.vault.get(s.id)
	return ok && known.serial == s.serial
}

// keep updates the vault as the commit updated the store.
func (l *loop) keep(c *record.Changes) {
	for i := range c.Put {
		if c.Put[i].State == record.Gone {
			l.t.vault.drop(c.Put[i].ID)
			l.t.failing.forget(c.Put[i].ID)
		}
		if c.Put[i].State != record.Preparing {
			l.t.failing.prepares(c.Put[i].ID, false)
		}
		if s := c.Put[i].State; s != record.Ready && s != record.Draining {
			l.t.keeper.forget(c.Put[i].ID)
		}
	}
	for _, id := range c.Drop {
		l.t.vault.drop(id)
		l.t.keeper.forget(id)
		l.t.failing.forget(id)
	}
	for _, s := range l.mail.secrets {
		l.t.vault.set(s)
		l.t.keeper.mind(s.id, s.serial, s.info.Reveal(), true)
	}
}

// storeWords returns the error of the last commit, or "" if it succeeded or has not ended yet.
func (h *health) storeWords() string {
	if tr := h.trouble.Load(); tr != nil {
		return tr.err.Error()
	}
	return ""
}

// health is what Ready reads. It does not need the loop.
type health struct {
	started     atomic.Bool              // the first list was processed
	trouble     atomic.Pointer[trouble]  // nil: the last commit succeeded
	commitSince atomic.Int64             // Mono + 1 at the start of the running commit; 0: no commit runs
	away        atomic.Pointer[error]    // nil: the last call reached the plugin
	lists       atomic.Pointer[unlisted] // nil: the last list succeeded
}
