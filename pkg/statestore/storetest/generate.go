package storetest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/internal/draw"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

func diff(what string, want, have any) string {
	return fmt.Sprintf("%s:\nwant %+v\nhave %+v", what, want, have)
}

func sameInstance(a, b record.Instance) bool {
	if !slices.Equal(a.Leases, b.Leases) { // nil and empty are equal
		return false
	}
	a.Leases, b.Leases = nil, nil
	return reflect.DeepEqual(a, b)
}

// testApply commits generated changes and compares with the reference, across reopens.
func testApply(t *testing.T, factory func(testing.TB) Subject) {
	draw.Check(t, func(r *draw.T) {
		var m Model
		s := factory(t)
		store, err := s.Open()
		if err != nil {
			r.Fatal(err)
		}
		defer func() { _ = store.Close() }()
		for range draw.Range(1, 12).Draw(r, "commits") {
			c := drawCommit(r)
			if err := store.Commit(context.Background(), c); err != nil {
				r.Fatalf("Commit: %v", err)
			}
			m.Apply(c)
			if draw.Range(0, 3).Draw(r, "reopen") == 0 {
				_ = store.Close()
				if store, err = s.Open(); err != nil {
					r.Fatalf("reopen: %v", err)
				}
			}
			loaded, err := store.Load(context.Background())
			if err != nil {
				r.Fatalf("Load: %v", err)
			}
			if d := m.Differs(loaded); d != "" {
				r.Fatal(d)
			}
		}
	})
}

// drawCommit draws from a few IDs, so that commits often change the same record.
func drawCommit(r *draw.T) statestore.Commit {
	id := draw.Map(draw.Range(0, 9), func(n int) record.ID { return record.ID(fmt.Sprintf("i-%d", n)) })
	op := draw.Range[uint64](1, 6)
	instance := func(r *draw.T) record.Instance { return drawInstance(r, id) }
	c := statestore.Commit{Changes: &record.Changes{
		Put:         draw.Distinct(instance, 5, func(i record.Instance) record.ID { return i.ID }).Draw(r, "put"),
		Drop:        draw.Slice(id, 0, 3).Draw(r, "drop"),
		PutIntents:  draw.Distinct(drawIntent, 3, func(i record.Intent) uint64 { return i.Op }).Draw(r, "put intents"),
		DropIntents: draw.Slice(op, 0, 2).Draw(r, "drop intents"),
	}}
	if draw.Bool().Draw(r, "meta") {
		c.Changes.Meta = drawGroup(r)
	}
	for range draw.Range(0, 3).Draw(r, "secrets") {
		c.Secrets = append(c.Secrets, statestore.Secret{ID: id.Draw(r, "secret of"), Value: draw.Slice(draw.Byte(), 0, 40).Draw(r, "secret")})
	}
	return c
}

func drawInstance(r *draw.T, id draw.Gen[record.ID]) record.Instance {
	stamp := draw.OneOf(draw.Just(int64(0)), draw.Int64())
	rec := record.Instance{
		ID: id.Draw(r, "id"), Serial: draw.Uint64().Draw(r, "serial"),
		State:  record.State(draw.Range(int(record.Creating), int(record.Unclaimed)).Draw(r, "state")),
		Origin: record.Origin(draw.Range[uint8](0, 3).Draw(r, "origin")), Uses: draw.Int().Draw(r, "uses"),
		CreatedAt: stamp.Draw(r, "created"), StateAt: stamp.Draw(r, "since"), ReadyAt: stamp.Draw(r, "ready"), IdleAt: stamp.Draw(r, "idle"),
		Cause: record.Cause(draw.Byte().Draw(r, "cause")), DeleteAsked: draw.Bool().Draw(r, "asked"),
	}
	for range draw.Range(0, 3).Draw(r, "leases") {
		key := record.Key(draw.String().Draw(r, "key"))
		rec.Leases = append(rec.Leases, record.Lease{Key: key, Slot: draw.Int().Draw(r, "slot"), At: stamp.Draw(r, "at"), Use: draw.Int().Draw(r, "use")})
	}
	return rec
}

func drawIntent(r *draw.T) record.Intent {
	n := draw.Int()
	return record.Intent{
		Op: draw.Range[uint64](1, 6).Draw(r, "op"), Asked: n.Draw(r, "asked"), Open: n.Draw(r, "open"), Doubt: n.Draw(r, "doubt"),
		Faded: n.Draw(r, "faded"), At: draw.Int64().Draw(r, "at"), Answered: draw.Bool().Draw(r, "answered"),
	}
}

func drawGroup(r *draw.T) *record.Meta {
	return &record.Meta{
		Group: draw.String().Draw(r, "group"), LastSerial: draw.Uint64().Draw(r, "serial"), LastOp: draw.Uint64().Draw(r, "op"),
		ThrottleTokens: draw.Float64().Draw(r, "tokens"), ThrottleAt: draw.Int64().Draw(r, "at"), Fruitless: draw.Int().Draw(r, "fruitless"),
		Refusals: draw.Int().Draw(r, "refusals"), BackoffUntil: draw.Int64().Draw(r, "until"), BackoffCause: record.Cause(draw.Byte().Draw(r, "cause")),
		DiedYoung: draw.Int().Draw(r, "died young"), Trials: draw.Int().Draw(r, "trials"),
		YoungSince: draw.Int64().Draw(r, "young since"),
	}
}

// Sample returns n commits as a manager makes them: instances appear, are leased, and go.
func Sample(n int, seed uint64) []statestore.Commit {
	rng := rand.New(rand.NewPCG(seed, 1))
	commits := make([]statestore.Commit, 0, n)
	at, serial := int64(1_800_000_000_000_000_000), uint64(0)
	for i := range n {
		at += rng.Int64N(5e9)
		c := statestore.Commit{Changes: &record.Changes{Meta: &record.Meta{
			Group: "fake/sample", LastSerial: serial, LastOp: uint64(i), ThrottleTokens: float64(rng.IntN(100)) / 7, ThrottleAt: at,
		}}}
		for _, k := range rng.Perm(40)[:1+rng.IntN(12)] {
			serial++
			rec := record.Instance{
				ID: record.ID(fmt.Sprintf("i-%04d", k)), Serial: serial, State: record.State(1 + rng.IntN(int(record.Unclaimed))), Origin: record.Created,
				Uses: rng.IntN(9), CreatedAt: at - 1e9, StateAt: at, ReadyAt: at, Cause: record.Cause(rng.IntN(5)), DeleteAsked: rng.IntN(9) == 0,
			}
			for slot := range rng.IntN(3) {
				rec.Leases = append(rec.Leases, record.Lease{Key: record.Key(fmt.Sprintf("job-%d-%d", i, k)), Slot: slot, At: at, Use: k + 1})
			}
			c.Changes.Put = append(c.Changes.Put, rec)
			if rng.IntN(2) == 0 {
				c.Secrets = append(c.Secrets, statestore.Secret{ID: rec.ID, Value: bytes.Repeat([]byte{byte(k), byte(i)}, 20+rng.IntN(200))})
			}
		}
		if rng.IntN(3) == 0 {
			c.Changes.Drop = append(c.Changes.Drop, record.ID(fmt.Sprintf("i-%04d", rng.IntN(40))))
		}
		c.Changes.PutIntents = append(c.Changes.PutIntents, record.Intent{Op: uint64(i), Asked: rng.IntN(9), Open: rng.IntN(9), At: at})
		c.Changes.DropIntents = append(c.Changes.DropIntents, uint64(max(i-3, 0)))
		commits = append(commits, c)
	}
	return commits
}

// Bulk returns one commit of n instances, each with a lease and a secret. Up to n = 1,000,000 the IDs have equal lengths.
func Bulk(n int) statestore.Commit {
	c := statestore.Commit{Changes: &record.Changes{}}
	for i := range n {
		id := record.ID(fmt.Sprintf("bulk-%06d", i))
		c.Changes.Put = append(c.Changes.Put, record.Instance{
			ID: id, Serial: uint64(i), State: record.Ready, Origin: record.Created, CreatedAt: 1, StateAt: 2, ReadyAt: 3,
			Leases: []record.Lease{{Key: record.Key("job of " + id), At: 4, Use: 2}},
		})
		c.Secrets = append(c.Secrets, statestore.Secret{ID: id, Value: []byte("key of " + id)})
	}
	c.Secrets[0].Value = bytes.Repeat([]byte("long "), 3000) // more than a page
	return c
}

func testSecrets(t *testing.T, s Subject) {
	var m Model
	store := open(t, s)
	put := func(id record.ID, state record.State) *record.Changes {
		return &record.Changes{Put: []record.Instance{{ID: id, State: state}}}
	}
	secret := func(id record.ID, value string) []statestore.Secret {
		return []statestore.Secret{{ID: id, Value: []byte(value)}}
	}
	steps := []struct {
		name   string
		commit statestore.Commit
		want   string // of instance a
	}{
		{"no record, no secret", statestore.Commit{Secrets: secret("a", "early")}, ""},
		{"record and secret together", statestore.Commit{Changes: put("a", record.Preparing), Secrets: secret("a", "one")}, "one"},
		{"a secret of its own", statestore.Commit{Secrets: secret("a", "two")}, "two"},
		{"a state that keeps it", statestore.Commit{Changes: put("a", record.Deleting)}, "two"},
		{"lost instances may come back", statestore.Commit{Changes: put("a", record.Lost)}, "two"},
		{"another's end", statestore.Commit{Changes: &record.Changes{Drop: []record.ID{"b"}}}, "two"},
		{"gone", statestore.Commit{Changes: put("a", record.Gone)}, ""},
		{"gone takes none", statestore.Commit{Secrets: secret("a", "late")}, ""},
		{"back", statestore.Commit{Changes: put("a", record.Ready), Secrets: secret("a", "three")}, "three"},
		{"dropped", statestore.Commit{Changes: &record.Changes{Drop: []record.ID{"a"}}}, ""},
		{"dropped takes none", statestore.Commit{Secrets: secret("a", "late")}, ""},
		{"put and dropped at once", statestore.Commit{
			Changes: &record.Changes{Put: put("a", record.Ready).Put, Drop: []record.ID{"a"}}, Secrets: secret("a", "x"),
		}, ""},
		{"again", statestore.Commit{Changes: put("a", record.Ready), Secrets: secret("a", "four")}, "four"},
		{"forgotten", statestore.Commit{Secrets: secret("a", "")}, ""},
	}
	for _, step := range steps {
		m.commit(t, store, step.commit)
		store = reopen(t, s, store)
		m.check(t, store)
		loaded, err := store.Load(context.Background())
		if have := string(loaded.Secrets["a"]); err != nil || have != step.want {
			t.Fatalf("%s: the secret is %q instead of %q (%v)", step.name, have, step.want, err)
		}
	}
}

func testOdd(t *testing.T, s Subject) {
	var m Model
	store := open(t, s)
	ids := []record.ID{"", " ", "\x00", "\x00\x00", "projects/x/zones/ü-1/Größe/名前", "\xff\xfe", record.ID(strings.Repeat("k", 1024)),
		record.ID(strings.Repeat("k", 1025)), record.ID(strings.Repeat("k", 40_000)), record.ID(strings.Repeat("z", 100_000)), "z"}
	for i, id := range ids {
		rec := record.Instance{ID: id, Serial: math.MaxUint64, State: record.Ready, Uses: math.MaxInt, CreatedAt: math.MinInt64, IdleAt: math.MaxInt64,
			Cause: math.MaxUint8, Origin: math.MaxUint8,
			Leases: []record.Lease{{}, {Key: record.Key(strings.Repeat("ключ", i*1000)), Slot: -1, At: -1, Use: -1}}}
		m.commit(t, store, statestore.Commit{Changes: &record.Changes{Put: []record.Instance{rec}},
			Secrets: []statestore.Secret{{ID: id, Value: bytes.Repeat([]byte{0}, 1+i*9000)}}})
	}
	m.commit(t, store, statestore.Commit{Changes: &record.Changes{
		Put:        []record.Instance{{ID: "empty", State: record.Unclaimed, Leases: []record.Lease{}}},
		PutIntents: []record.Intent{{Op: 0}, {Op: math.MaxUint64, Asked: math.MaxInt, Open: math.MinInt, Answered: true}},
		Meta:       &record.Meta{Group: strings.Repeat("g", 70_000), ThrottleTokens: math.Inf(-1), LastOp: math.MaxUint64},
	}})
	store = reopen(t, s, store)
	m.check(t, store)
	m.commit(t, store, statestore.Commit{Changes: &record.Changes{Drop: ids[:8], DropIntents: []uint64{0, 7}}})
	store = reopen(t, s, store)
	m.check(t, store)
	m.commit(t, store, statestore.Commit{Changes: &record.Changes{Drop: ids, Meta: new(record.Meta)}})
	m.check(t, store)
}
