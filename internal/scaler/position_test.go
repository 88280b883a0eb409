package scaler

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// The position of each waiter is its place in the queue, however waiters come and leave between two questions. As long as none leaves from the
// middle, nothing is counted again.
func TestPositions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	q := queue{byKey: map[record.Key]*waiter{}}
	var all []*waiter
	leave := func(i int) {
		q.remove(all[i])
		all = append(all[:i:i], all[i+1:]...)
	}
	for n := range 20_000 {
		switch last := len(all) - 1; {
		case last < 0 || r.IntN(5) < 2 && last < 50:
			all = append(all, q.push(record.Key(fmt.Sprint(n)), 0, "", 0))
		case r.IntN(3) == 0:
			leave(0)
		case r.IntN(3) == 0:
			leave(last)
		case r.IntN(3) == 0:
			leave(r.IntN(last + 1))
		}
		if len(all) == 0 || r.IntN(3) > 0 { // most steps are followed by another one before somebody asks
			continue
		}
		if i := r.IntN(len(all)); q.position(all[i]) != i+1 {
			t.Fatalf("after %d steps, waiter %d of %d has the position %d", n, i+1, len(all), q.position(all[i]))
		}
	}
	for len(all) > 2 {
		leave(0)
		leave(len(all) - 1)
		all = append(all, q.push(record.Key(fmt.Sprint("late-", len(all))), 0, "", 0))
		if q.gaps {
			t.Fatal("the places are counted again after the first one left, the last one left, or one came")
		}
	}
}
