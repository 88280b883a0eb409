package connector

import (
	"bytes"
	"io"
	"testing"
)

// TestUnsized: a file that says that it is empty is copied as a whole, or not at all.
func TestUnsized(t *testing.T) {
	for _, size := range []int{0, 1, maxUnsized - 1, maxUnsized, maxUnsized + 1, 2 * maxUnsized} {
		body, n, err := unsized(bytes.NewReader(make([]byte, size)))
		if size > maxUnsized {
			if err == nil {
				t.Errorf("%d of %d bytes, without an error", n, size)
			}
			continue
		}
		if got, _ := io.Copy(io.Discard, body); err != nil || n != int64(size) || got != n {
			t.Errorf("%d bytes, of which %d can be read, of %d: %v", n, got, size, err)
		}
	}
}
