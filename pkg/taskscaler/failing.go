package taskscaler

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/internal/clock"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// connecting is the name of an attempt to connect to an instance, beside the names of the calls to the group.
const connecting = "connect"

// jumping is the name of a connection to the jump host.
const jumping = "jump host"

// failing keeps what fails at the moment and is tried again: calls to the provider and connections. It holds no success.
type failing struct {
	log   *slog.Logger
	clock clock.Clock

	mu        sync.Mutex
	all       map[effort]*fails
	preparing map[record.ID]bool // instances that are not ready
}

// effort is one thing that is tried: a call, or a connection. id is the instance; "": the call concerns the group.
type effort struct {
	call string
	id   record.ID
}

// attrs says in a log what is tried.
func (e effort) attrs() []any {
	if e.id == "" {
		return []any{"call", e.call}
	}
	return []any{"call", e.call, "instance", string(e.id)}
}

// fails describes consecutive failures.
type fails struct {
	since time.Time
	count int
	words string
	told  bool // the log has one of them
}

// manyFailing is how many things may fail at the same time until no further one is logged.
const manyFailing = 50

// note records the result of a try. It logs the 1st, the 10th, the 100th failure in a row, and the success that follows a logged one. The end of a
// context, and an absent plugin, say nothing. A create is the exception: a plugin that answers lists is not absent, and the failure of the latest
// create is shown until one succeeds, also while the next try runs.
func (f *failing) note(call string, id record.ID, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, provider.ErrAway) && call != callLimits[callIncrease].name {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e := effort{call, id}
	had := f.all[e]
	if err == nil {
		if delete(f.all, e); had != nil && had.told {
			f.log.Info(call+" works again", append(e.attrs(), "failures", had.count)...)
		}
		return
	}
	if had == nil {
		_, wall := f.clock.Now()
		had = &fails{since: wall}
		if f.all == nil {
			f.all = map[effort]*fails{}
		}
		f.all[e] = had
	}
	had.count++
	had.words = err.Error()
	if scaler.Milestone(had.count) && worthTelling(call, had.count) && (had.told || len(f.all) <= manyFailing) {
		had.told = true
		f.log.Warn(call+" fails, and is tried again", append(e.attrs(), "failures", had.count, "error", had.words)...)
	}
}

// worthTelling reports whether the count-th failure of call is news. Facts tell of Increase and ConnectInfo, and an instance that boots refuses
// some connections.
func worthTelling(call string, count int) bool {
	switch call {
	case callLimits[callDecrease].name, callLimits[callHeartbeat].name, jumping:
		return true
	case connecting:
		return count > 1
	}
	return false
}

// bootPatience is for how long a booting instance refuses connections until that is worth a word: its server may not be there yet.
const bootPatience = 5 * time.Second

// prepares records whether an instance is being prepared. It still is between a failed preparation and the next one.
func (f *failing) prepares(id record.ID, yes bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !yes {
		delete(f.preparing, id)
		return
	}
	if f.preparing == nil {
		f.preparing = map[record.ID]bool{}
	}
	f.preparing[id] = true
}

// ofBoot returns the words of what has kept an instance, or the jump host to it, from being ready for longest; "" if nothing fails.
func (f *failing) ofBoot() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.preparing) == 0 {
		return ""
	}
	_, now := f.clock.Now()
	var words string
	var since time.Time
	for e, n := range f.all {
		switch {
		case e.call == jumping:
		case e.call != connecting && e.call != callLimits[callConnectInfo].name, !f.preparing[e.id]:
			continue
		case e.call == connecting && now.Sub(n.since) < bootPatience:
			continue
		}
		if words == "" || n.since.Before(since) || n.since.Equal(since) && n.words < words {
			words, since = n.words, n.since
		}
	}
	return words
}

// forget drops what is known of an instance that is gone.
func (f *failing) forget(id record.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.preparing, id)
	for e := range f.all {
		if e.id == id {
			delete(f.all, e)
		}
	}
}

// list returns what fails, by call and instance.
func (f *failing) list() []FailingStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]FailingStatus, 0, len(f.all))
	for e, n := range f.all {
		out = append(out, FailingStatus{Call: e.call, Instance: string(e.id), Since: n.since, Failures: n.count, Error: n.words})
	}
	slices.SortFunc(out, func(a, b FailingStatus) int {
		return cmp.Or(cmp.Compare(a.Call, b.Call), cmp.Compare(a.Instance, b.Instance))
	})
	return out
}

// deleted records how the provider answered the delete of id. An instance that it does not know is as good as deleted.
func (f *failing) deleted(id record.ID, err error) {
	if provider.KindOf(err) == provider.KindNotFound {
		err = nil
	}
	f.note(callLimits[callDecrease].name, id, err)
}
