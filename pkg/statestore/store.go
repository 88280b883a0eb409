package statestore

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// Store keeps the state of one group. Its methods may be called from any goroutine. Commits are serialised.
type Store interface {
	// Load reads the whole state. Without a commit the state is empty, which is no error. It returns a *CorruptError if the state is
	// damaged, and a *VersionError if a newer release wrote it; it changes nothing in either case.
	Load(ctx context.Context) (Snapshot, error)

	// Commit makes all of c durable, or nothing of it. When it returns nil, the state is what record.Saved.Apply makes of it. After an
	// error either may be true, and the caller may try the same commit again: to commit it twice has the same effect as once. A
	// context that has ended prevents a commit, but does not interrupt one that has begun.
	//
	// The manager retries a failed commit for 5 minutes, unless IsPermanent(err). A store returns a *PermanentError for an error that
	// no retry can mend: for example the file system is read-only, another owner took the store over, or c holds a record that could
	// not be loaded again. The manager then stops at once.
	Commit(ctx context.Context, c Commit) error

	// Close releases the store for the next owner. Later calls of Load and Commit return ErrClosed; a later Close returns nil.
	Close() error
}

// Checker is a Store that can tell, without a commit, that a commit would fail. The manager calls Check every second, so that it does not
// offer slots that it cannot grant. An error has the same effect as one of Commit. Check may be called while Commit runs, and must be cheap.
type Checker interface {
	Check() error
}

// Secret is the connect info of one instance. It is opaque to the store. The store keeps it while its instance has a record that is not
// Gone, and removes it in the same transaction that ends the record. It drops a secret without a record.
type Secret struct {
	ID    record.ID
	Value []byte // empty: remove the secret
}

// Commit is one transaction. Changes are applied first, then Secrets.
type Commit struct {
	Changes *record.Changes // nil: no changes
	Secrets []Secret
}

// Empty reports whether there is nothing to commit.
func (c *Commit) Empty() bool {
	return len(c.Secrets) == 0 && (c.Changes == nil || c.Changes.Empty())
}

// Snapshot is the whole state of a store. It shares no memory with the store.
type Snapshot struct {
	State   record.Saved
	Secrets map[record.ID][]byte `json:"-"` // never nil
}

// Format writes the ID for every verb of fmt: no verb shows the value.
func (s Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "secret of "+string(s.ID))
}

// LogValue returns the ID for a structured log, without the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue("secret of " + string(s.ID)) }

// MarshalText returns the ID: no text encoding, such as JSON, shows the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte("secret of " + string(s.ID)), nil }

// Format writes the state and the number of secrets: no verb of fmt shows a secret.
func (s Snapshot) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "%+v and %d secrets", s.State, len(s.Secrets))
}

// LogValue returns counts for a structured log, without the secrets.
func (s Snapshot) LogValue() slog.Value {
	return slog.GroupValue(slog.String("group", s.State.Meta.Group), slog.Int("instances", len(s.State.Instances)),
		slog.Int("intents", len(s.State.Intents)), slog.Int("secrets", len(s.Secrets)))
}

// keepsSecret reports whether an instance in this state may have a secret.
func keepsSecret(s record.State) bool { return s != record.Gone }

// checkInstance refuses a record that a later Load could not read.
func checkInstance(r *record.Instance) error {
	if !knownState(r.State) {
		return &PermanentError{Err: fmt.Errorf("instance %q has the state %d, which does not exist", r.ID, r.State)}
	}
	return nil
}

func knownState(s record.State) bool { return s >= record.Creating && s <= record.Unclaimed }
