package statestore

import (
	"context"
	"os"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/record"
	bolt "go.etcd.io/bbolt"
)

// Newer returns a file as a later release could write it.
func Newer(t *testing.T, what string) []byte {
	t.Helper()
	dir := t.TempDir() + "/newer"
	b, err := OpenBolt(dir, BoltOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(context.Background(), Commit{Changes: &record.Changes{Put: []record.Instance{{ID: "a", State: record.Ready}}}}); err != nil {
		t.Fatal(err)
	}
	enc := new(encoder)
	err = b.db.Update(func(tx *bolt.Tx) error {
		key := enc.instanceKey("a")
		switch what {
		case "layout-v2.db":
			start := enc.begin(kindFormat)
			enc.buf = appendFixed(enc.buf, 1, sealedLayout+1)
			record, _ := enc.seal(start, keyFormat)
			return tx.Bucket(bucketMeta).Put(keyFormat, record)
		case "record-v2.db":
			start := enc.begin(kindInstance)
			enc.buf[start] = recordVersion + 1
			enc.buf = append(enc.buf, "of another kind altogether"...)
			record, _ := enc.seal(start, key)
			return tx.Bucket(bucketInstances).Put(key, record)
		case "state-9.db":
			start := enc.begin(kindInstance)
			enc.buf = appendInstance(enc.buf, &record.Instance{ID: "a", State: record.Unclaimed + 1})
			record, _ := enc.seal(start, key)
			return tx.Bucket(bucketInstances).Put(key, record)
		}
		t.Fatalf("what is %s?", what)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(dir + "/state.db")
	if err != nil {
		t.Fatal(err)
	}
	return image
}
