package statestore

import "testing"

// TestGuardOfALaterRelease: a later release may count more kinds of records. This release skips what it does not know.
func TestGuardOfALaterRelease(t *testing.T) {
	want := guard{seq: 7, tx: 9}
	for n, k := range guarded {
		want.kinds[k] = tally{count: uint64(n) + 1, sum: uint64(n) + 100}
	}
	payload := want.append(nil)
	for n := range 3 {
		payload = appendFixed(payload, fieldOf(len(guarded)+n), 5)
		payload = appendFixed(payload, fieldOf(len(guarded)+n)+1, 6)
	}
	payload = appendFixed(payload, fieldTx+1, 8)
	var got guard
	if err := got.decode(payload); err != nil || got != want {
		t.Errorf("decoded %+v, %v; want %+v", got, err, want)
	}
}
