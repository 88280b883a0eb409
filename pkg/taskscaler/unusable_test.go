package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// listToo makes the group list these entries after its own instances.
func listToo(g *testGroup, ids ...string) {
	g.change(func() {
		for _, id := range ids {
			g.instances[id] = time.Now()
		}
	})
}

// TestUnusableIDs: instances whose ids cannot be used do not disturb the others. The log names one of them once, whatever their number.
func TestUnusableIDs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		held := f.acquire("held")
		strays := []string{"", "a\nlevel=ERROR msg=forged", "\x1b[2J", "caf\xe9"}
		for n := range 1000 {
			strays = append(strays, strings.Repeat("x", 10000)+fmt.Sprint(n))
		}
		listToo(f.group, strays...)
		time.Sleep(20 * time.Minute)
		if held.Err() != nil {
			t.Errorf("the lease ended: %v", held.Err())
		}
		if err := held.Release(context.Background()); err != nil {
			t.Error(err)
		}
		f.acquire("next")
		if n := len(f.facts.of(scaler.FactListFailed)) + len(f.facts.of(scaler.FactUnclaimed)); n != 0 {
			t.Errorf("%d facts about the strays", n)
		}
		const says = "lists instances whose ids cannot be used"
		if log := f.log.String(); strings.Count(log, says) != 1 || !strings.Contains(log, "count=1004 first=") || strings.Contains(log, "\nlevel=ERROR msg=forged") {
			t.Errorf("the log has %d lines about the strays, want 1: %.2000s", strings.Count(log, says), log)
		}
	})
}

// TestGarbledIDs: a plugin that garbles the ids of known instances does not make them look lost. If that lasts, the list counts.
func TestGarbledIDs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		held := f.acquire("held")
		stray := held.InstanceID() + "\n"
		f.group.vanish(held.InstanceID())
		listToo(f.group, stray)
		time.Sleep(9 * f.config().UpdateInterval)
		if held.Err() != nil {
			t.Fatalf("the lease ended: %v", held.Err())
		}
		lists := f.facts.of(scaler.FactListFailed)
		if len(lists) == 0 || !strings.Contains(lists[0].Failure.Message, "1 whose ids cannot be used; the first id contains the character U+000A") {
			t.Fatalf("failed lists: %+v", lists)
		}
		f.until("the instance is lost", func() bool { return held.Err() != nil })
	})
}

// TestDoubtsAreInARow: an accepted list begins the count of refused lists anew.
func TestDoubtsAreInARow(t *testing.T) {
	clean, garbled := unusable{}, unusable{count: 1, first: `"a\n"`, why: "contains the character U+000A"}
	row := func(n int) string { return strings.Repeat("g", n) }
	for lists, refused := range map[string]int{ // c: clean, g: garbled and without a known instance, o: garbled besides all known ones
		row(maxDoubts):                         maxDoubts,
		row(maxDoubts + 1):                     maxDoubts,
		row(maxDoubts+1) + "g":                 maxDoubts,
		row(maxDoubts) + "c" + row(maxDoubts):  2 * maxDoubts,
		row(maxDoubts-1) + "cg" + "cg":         maxDoubts + 1,
		"o" + row(2):                           0,
		"oc" + row(2):                          2,
		row(maxDoubts+1) + "c" + row(3) + "cg": maxDoubts + 4,
	} {
		d := doubter{log: slog.New(slog.DiscardHandler)}
		got := 0
		for _, list := range lists {
			bad := garbled
			if list == 'c' {
				bad = clean
			}
			if d.judge(bad, func() bool { return list == 'g' }) != nil {
				got++
			}
		}
		if got != refused {
			t.Errorf("%s: %d lists were refused, want %d", lists, got, refused)
		}
	}
}

// TestGarbledIDsAfterARestart: the instances of the store are known, so they do not look lost in the first lists of the next manager.
func TestGarbledIDsAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		id := f.acquire("held").InstanceID()
		store, group := f.crash()
		group.vanish(id)
		listToo(group, id+"\n")
		f = start(t, withStore(store), onGroup(group, f.net))
		defer f.end()
		held, err := f.Reattach(t.Context(), "held")
		if err != nil {
			t.Fatal(err)
		}
		f.until("some lists", func() bool { return f.group.count("update") >= f.config().MissingLists+3 })
		if held.Err() != nil {
			t.Errorf("the lease ended: %v", held.Err())
		}
		if lists := f.facts.of(scaler.FactListFailed); len(lists) == 0 || !strings.Contains(lists[0].Failure.Message, "lacks known instances") {
			t.Errorf("failed lists: %+v", lists)
		}
	})
}

// TestUnusableKeys: a key that could forge a line, or fill the state, is refused before the core hears of it.
func TestUnusableKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		for _, key := range []string{"", " ", "a\nb", "a\x1b[2Jb", "caf\xe9", strings.Repeat("k", 10000)} {
			lease, err := f.Acquire(context.Background(), key)
			if lease != nil || !errors.Is(err, ErrInvalidKey) || len(err.Error()) > 300 || strings.Contains(err.Error(), "\n") {
				t.Errorf("Acquire(%.20q) = %v, %v", key, lease, err)
			}
			if err := f.Reserve(context.Background(), key); !errors.Is(err, ErrInvalidKey) {
				t.Errorf("Reserve(%.20q) = %v", key, err)
			}
			if _, err := f.Reattach(context.Background(), key); !errors.Is(err, ErrUnknownKey) {
				t.Errorf("Reattach(%.20q) = %v", key, err)
			}
		}
		f.acquire(strings.Repeat("ö", 256))
	})
}

// TestLongFailures: the words of a failure reach the log and the status as one bounded line that still says why, without its secrets.
func TestLongFailures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withGroup(func(g *testGroup) {
			g.onIncrease = func(context.Context, int) (int, error) {
				return 0, provider.Errorf(provider.KindQuota, "cannot create:\n%s\x1b[2J\nthe quota is used up", strings.Repeat("z\xff", 10000))
			}
		}))
		defer f.end()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err := f.Acquire(ctx, "k")
		if err == nil || !strings.Contains(err.Error(), "cannot create: z") || !strings.Contains(err.Error(), `\x1b[2J the quota is used up`) || len(err.Error()) > 1000 {
			t.Errorf("Acquire: %v", err)
		}
		for line := range strings.Lines(f.log.String()) {
			if len(line) > 2000 {
				t.Errorf("a line of %d bytes: %.200s", len(line), line)
			}
		}
	})
}

// TestHolds: a lease is held until it is released, also while its caller is disconnected. A key that only waits or is unknown holds nothing.
func TestHolds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		holds := func(key string) bool {
			held, err := f.Holds(context.Background(), key)
			if err != nil {
				t.Fatal(err)
			}
			return held
		}
		l := f.acquire("job")
		if !holds("job") || holds("other") {
			t.Errorf("job %v, other %v", holds("job"), holds("other"))
		}
		f.Detach("job")
		if !holds("job") {
			t.Error("a disconnected caller holds nothing")
		}
		if err := l.Release(context.Background()); err != nil {
			t.Fatal(err)
		}
		if holds("job") {
			t.Error("a released lease is held")
		}
	})
}
