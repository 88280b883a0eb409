package statestore_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/statestore/storetest"
)

// TestPowerLoss builds the files that a disk can hold after a power loss within a commit. Before its first sync: any sectors of its data
// pages, and the old meta page. After it: all data pages, and the old or the new meta page.
func TestPowerLoss(t *testing.T) {
	dir := t.TempDir() + "/group"
	file := dir + "/state.db"
	store, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var before, after storetest.Model
	var old, now []byte
	for _, c := range append([]statestore.Commit{storetest.Bulk(200)}, storetest.Sample(12, 5)...) {
		before, old = after.Clone(), now
		if err := store.Commit(context.Background(), c); err != nil {
			t.Fatal(err)
		}
		after.Apply(c)
		if now, err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	_ = store.Close()
	const sector = 512
	meta := 2 * os.Getpagesize() // both meta pages come first
	rng := rand.New(rand.NewPCG(8, 9))
	holds := func(what string, image []byte, want *storetest.Model) {
		t.Helper()
		if err := os.WriteFile(file, image, 0o600); err != nil {
			t.Fatal(err)
		}
		store, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer store.Close()
		loaded, err := store.Load(context.Background())
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if d := want.Differs(loaded); d != "" {
			t.Fatalf("%s: %s", what, d)
		}
	}
	if len(old) != len(now) || bytes.Equal(old[meta:], now[meta:]) {
		t.Fatalf("the last commit cannot be used here: %d and %d bytes", len(old), len(now))
	}
	holds("no data", slices.Concat(old[:meta], old[meta:]), &before)
	holds("all data", slices.Concat(old[:meta], now[meta:]), &before)
	holds("all of it", now, &after)
	for n := range 100 {
		torn := slices.Clone(old)
		for at := meta; at < len(old); at += sector {
			if rng.IntN(2) == 0 {
				copy(torn[at:at+sector], now[at:at+sector])
			}
		}
		holds(fmt.Sprintf("a part of the data, number %d", n), torn, &before)
	}
}
