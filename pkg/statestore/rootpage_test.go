package statestore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/statestore/storetest"
)

// TestOlderRootPage: the root page of an empty state holds the whole of it. In the place of the root page of a later state it is damage, although
// all its checksums are right.
func TestOlderRootPage(t *testing.T) {
	dir := t.TempDir() + "/group"
	image := func(commits ...statestore.Commit) []byte {
		b := openBolt(t, dir)
		for _, c := range commits {
			commit(t, b, c)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(dir + "/state.db")
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	first := image()
	last := image(storetest.Sample(8, 1)...)
	from, _ := rootPage(first)
	to, id := rootPage(last)
	damaged := bytes.Clone(last)
	copy(damaged[to:to+os.Getpagesize()], first[from:])
	binary.NativeEndian.PutUint64(damaged[to:], id)
	if err := os.WriteFile(dir+"/state.db", damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
	if err == nil {
		_ = b.Close()
	}
	var corrupt *statestore.CorruptError
	if !errors.As(err, &corrupt) || !strings.Contains(corrupt.What, "it holds the state of transaction ") {
		t.Errorf("an older root page: %v", err)
	}
}

// rootPage returns where the root page of the newest transaction lies in a bbolt file, and its number.
func rootPage(image []byte) (at int, id uint64) {
	page := os.Getpagesize()
	newest := image[16:80] // the meta data of page 0
	if other := image[page+16 : page+80]; binary.NativeEndian.Uint64(other[48:]) > binary.NativeEndian.Uint64(newest[48:]) {
		newest = other
	}
	id = binary.NativeEndian.Uint64(newest[16:])
	return int(id) * page, id
}
