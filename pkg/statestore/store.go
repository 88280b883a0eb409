package statestore

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// Store keeps the state of one group. Its methods may be called by any goroutine; commits happen one after the other.
type Store interface {
	// Load reads everything. A store that never saw a commit is empty, which is no error. The error is a *CorruptError or a
	// *VersionError when the state cannot be trusted or understood; nothing is changed then.
	Load(ctx context.Context) (Snapshot, error)

	// Commit makes all of c durable, or nothing of it. When it returns nil, the state is what record.Saved.Apply makes of it. After an
	// error either may be true, and the caller may try the same commit again: to commit it twice has the same effect as once. A
	// context that has ended prevents a commit, but does not interrupt one that has begun.
	//
	// The manager retries a failed commit for 5 minutes, unless IsPermanent(err). A store returns a *PermanentError for an error that
	// no retry can mend: for example the file was removed, the file system is read-only, another owner took the store over, or c
	// holds a record that could not be loaded again. The manager then stops at once.
	Commit(ctx context.Context, c Commit) error

	// Close releases the store for the next owner. Later calls of Load and Commit return ErrClosed; a later Close returns nil.
	Close() error
}

// Secret is the connect info of one instance, opaque to the store. It is kept as long as its instance has a record that is not Gone:
// in the transaction that ends the record the secret goes too, and a secret without a record is not kept at all.
type Secret struct {
	ID    record.ID
	Value []byte // empty: forget the secret
}

// Commit is one transaction. Secrets take effect after Changes.
type Commit struct {
	Changes *record.Changes // nil: unchanged
	Secrets []Secret
}

// Empty reports whether there is nothing to commit.
func (c *Commit) Empty() bool {
	return len(c.Secrets) == 0 && (c.Changes == nil || c.Changes.Empty())
}

// Snapshot is everything that a store holds. It shares no memory with the store.
type Snapshot struct {
	State   record.Saved
	Secrets map[record.ID][]byte `json:"-"` // never nil
}

// Format keeps the value out of every fmt verb.
func (s Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "secret of "+string(s.ID))
}

// LogValue keeps the value out of structured logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue("secret of " + string(s.ID)) }

// MarshalText keeps the value out of everything that is encoded as text, JSON among it.
func (s Secret) MarshalText() ([]byte, error) { return []byte("secret of " + string(s.ID)), nil }

// Format keeps the secrets out of every fmt verb.
func (s Snapshot) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "%+v and %d secrets", s.State, len(s.Secrets))
}

// LogValue keeps the secrets out of structured logs.
func (s Snapshot) LogValue() slog.Value {
	return slog.GroupValue(slog.String("group", s.State.Meta.Group), slog.Int("instances", len(s.State.Instances)),
		slog.Int("intents", len(s.State.Intents)), slog.Int("secrets", len(s.Secrets)))
}

// keepsSecret reports whether an instance in this state may have a secret.
func keepsSecret(s record.State) bool { return s != record.Gone }

// checkInstance refuses what could not be understood when it is loaded again.
func checkInstance(r *record.Instance) error {
	if !knownState(r.State) {
		return &PermanentError{Err: fmt.Errorf("instance %q has the state %d, which does not exist", r.ID, r.State)}
	}
	return nil
}

func knownState(s record.State) bool { return s >= record.Creating && s <= record.Unclaimed }
