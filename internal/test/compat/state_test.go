package compat

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

type storedLease struct {
	Key  string `json:"key"`
	Slot int    `json:"slot"`
	At   int64  `json:"at"`
}

type storedInstance struct {
	ID          string        `json:"id"`
	Serial      uint64        `json:"serial"`
	State       string        `json:"state"`
	Origin      string        `json:"origin"`
	Uses        int           `json:"uses"`
	CreatedAt   int64         `json:"created_at"`
	StateAt     int64         `json:"state_at"`
	ReadyAt     int64         `json:"ready_at"`
	IdleAt      int64         `json:"idle_at"`
	Cause       string        `json:"cause"`
	DeleteAsked bool          `json:"delete_asked"`
	Leases      []storedLease `json:"leases"`
	Secret      string        `json:"secret_sha256"` // empty: the store has no secret of it
}

type storedIntent struct {
	Op       uint64 `json:"op"`
	Asked    int    `json:"asked"`
	Open     int    `json:"open"`
	Doubt    int    `json:"doubt"`
	Faded    int    `json:"faded"`
	At       int64  `json:"at"`
	Answered bool   `json:"answered"`
}

type storedMeta struct {
	Group          string  `json:"group"`
	LastSerial     uint64  `json:"last_serial"`
	LastOp         uint64  `json:"last_op"`
	ThrottleTokens float64 `json:"throttle_tokens"`
	ThrottleAt     int64   `json:"throttle_at"`
	Fruitless      int     `json:"fruitless"`
	YoungSince     int64   `json:"young_since"`
	DiedYoung      int     `json:"died_young"`
	Trials         int     `json:"trials"`
	Refusals       int     `json:"refusals"`
	BackoffUntil   int64   `json:"backoff_until"`
	BackoffCause   string  `json:"backoff_cause"`
}

// stored is everything in a state file, in names that belong to this test alone: a field that is renamed in the product still has to
// bring the same value.
type stored struct {
	Meta      storedMeta       `json:"meta"`
	Instances []storedInstance `json:"instances"`
	Intents   []storedIntent   `json:"intents"`
}

func storedOf(s *statestore.Snapshot) stored {
	m := &s.State.Meta
	all := stored{Meta: storedMeta{
		Group: m.Group, LastSerial: m.LastSerial, LastOp: m.LastOp, ThrottleTokens: m.ThrottleTokens, ThrottleAt: m.ThrottleAt,
		Fruitless: m.Fruitless, YoungSince: m.YoungSince, DiedYoung: m.DiedYoung, Trials: m.Trials, Refusals: m.Refusals,
		BackoffUntil: m.BackoffUntil, BackoffCause: m.BackoffCause.String(),
	}}
	for i := range s.State.Instances {
		all.Instances = append(all.Instances, instanceOf(&s.State.Instances[i], s.Secrets))
	}
	for _, r := range s.State.Intents {
		all.Intents = append(all.Intents, storedIntent{
			Op: r.Op, Asked: r.Asked, Open: r.Open, Doubt: r.Doubt, Faded: r.Faded, At: r.At, Answered: r.Answered,
		})
	}
	return all
}

func instanceOf(r *record.Instance, secrets map[record.ID][]byte) storedInstance {
	i := storedInstance{
		ID: string(r.ID), Serial: r.Serial, State: r.State.String(), Origin: r.Origin.String(), Uses: r.Uses, CreatedAt: r.CreatedAt,
		StateAt: r.StateAt, ReadyAt: r.ReadyAt, IdleAt: r.IdleAt, Cause: r.Cause.String(), DeleteAsked: r.DeleteAsked, Leases: []storedLease{},
	}
	for _, l := range r.Leases {
		i.Leases = append(i.Leases, storedLease{Key: string(l.Key), Slot: l.Slot, At: l.At})
	}
	if value, ok := secrets[r.ID]; ok {
		sum := sha256.Sum256(value)
		i.Secret = hex.EncodeToString(sum[:])
	}
	return i
}

// littleEndian skips a test on other machines: bbolt's files have the byte order of the machine that wrote them.
func littleEndian(t *testing.T) {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the state file was written by a little-endian machine")
	}
}

func openState(t *testing.T, dir string) *statestore.Bolt {
	t.Helper()
	b, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func load(t *testing.T, s statestore.Store) statestore.Snapshot {
	t.Helper()
	loaded, err := s.Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// TestState loads the old state file: each field of each record has the value that the old code read from it.
func TestState(t *testing.T) {
	littleEndian(t)
	raw, err := os.ReadFile("testdata/state.json")
	if err != nil {
		t.Fatal(err)
	}
	b := openState(t, unpack(t))
	snapshot := load(t, b)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	mine, err := json.Marshal(storedOf(&snapshot))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "state.json", raw, mine)
}
