package taskscaler

import (
	"errors"
	"hash/fnv"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Credentials that expire are asked for again ahead of their end, so that no job waits for them. The margin is a fifth of the time for which they
// are good, between aheadLeast and aheadMost, and up to a quarter more, so that instances that were created together do not ask together.
// Credentials that are good for less than aheadShort are only asked for when a job needs them.
const (
	aheadLeast  = 15 * time.Second
	aheadMost   = 5 * time.Minute
	aheadShort  = 30 * time.Second
	aheadAtOnce = 4               // questions at a time; those of jobs have more, see lookupsAtOnce
	aheadStart  = 5 * time.Second // the pause between two looks whether the first list is there
	aheadFirst  = 5 * time.Second // the pause after a failed question; it doubles up to probeLast

	// aheadPatience is by how much more failures an instance is condemned if no job has asked: the provider is more likely to be out of order than
	// every idle instance.
	aheadPatience = 4
)

// aheadOf returns how long before they end the credentials of an instance are asked for again, if they are good for left.
func aheadOf(id record.ID, left time.Duration) time.Duration {
	margin := min(max(left/5, aheadLeast), aheadMost)
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return margin + time.Duration(h.Sum32()%1000)*(margin/4)/1000
}

// keeper asks for the credentials of ready instances ahead of their end. A failure means nothing while the known ones are good: it asks again.
type keeper struct {
	t      *Taskscaler
	mu     sync.Mutex
	timers map[record.ID]question
	turns  chan struct{}
}

// question is the next one about an instance.
type question struct {
	serial uint64
	timer  *time.Timer
}

func newKeeper(t *Taskscaler) *keeper {
	return &keeper{t: t, timers: map[record.ID]question{}, turns: make(chan struct{}, aheadAtOnce)}
}

// mind sets the time of the next question. late says that the credentials may have been good for longer than they are now: they were stored, or the
// preparation took a while. So they are replaced however soon they end.
func (k *keeper) mind(id record.ID, serial uint64, info provider.ConnectInfo, late bool) {
	if info.Expires == nil {
		k.drop(id, serial)
		return
	}
	left := time.Until(*info.Expires)
	if left < aheadShort {
		if !late {
			k.drop(id, serial)
			return
		}
		left = 0
	}
	k.after(id, serial, left-aheadOf(id, left), aheadFirst)
}

// after asks after a time. If that fails, the next question comes after pause. A late answer about an earlier instance with this name changes nothing.
// The vault has a new instance before mind is called for it, so a late answer that comes between the two is overruled.
func (k *keeper) after(id record.ID, serial uint64, d, pause time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if known, ok := k.t.vault.get(id); !ok || known.serial != serial {
		return
	}
	if old, ok := k.timers[id]; ok {
		old.timer.Stop()
	}
	k.timers[id] = question{serial, time.AfterFunc(max(d, 1), func() {
		if k.t.watching.Err() == nil {
			k.t.work.running.start(func() { k.ask(id, serial, pause) })
		}
	})}
}

// forget asks no more about an instance.
func (k *keeper) forget(id record.ID) { k.drop(id, 0) }

// drop asks no more about the instance with this serial; 0: whatever its serial is. A late answer about an earlier instance must not stop the
// questions about a new one with its name.
func (k *keeper) drop(id record.ID, serial uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if old, ok := k.timers[id]; ok && (serial == 0 || serial == old.serial) {
		old.timer.Stop()
		delete(k.timers, id)
	}
}

func (k *keeper) ask(id record.ID, serial uint64, pause time.Duration) {
	select {
	case k.turns <- struct{}{}:
		defer func() { <-k.turns }()
	case <-k.t.watching.Done():
		return
	}
	known, ok := k.t.vault.get(id)
	switch {
	case !ok || known.serial != serial || known.unreachable: // the last: it is asked about already
		k.drop(id, serial)
		return
	case !k.t.health.started.Load(): // nothing is concluded about an instance before the first list
		k.after(id, serial, aheadStart, pause)
		return
	}
	_, err := k.t.refresh(k.t.watching, id, serial)
	switch {
	case err == nil || k.t.watching.Err() != nil || condemns(err):
	case expired(known.info.Reveal()):
		k.drop(id, serial)
		k.t.doubt(id, serial, err, aheadPatience)
	default:
		k.after(id, serial, pause, min(2*pause, probeLast))
	}
}

// condemns reports whether a failed question for connect info says that its instance cannot be used any more.
func condemns(err error) bool {
	kind := provider.KindOf(err)
	return (kind == provider.KindNotFound || kind == provider.KindUnhealthy) && !errors.Is(err, provider.ErrAway)
}
