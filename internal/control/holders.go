package control

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errTakenOver is the cause with which a stream ends when its caller opened a newer one. The lease is not detached then.
var errTakenOver = errors.New("the caller opened another stream")

// holders records which stream holds which key. A key has only one stream at a time, and the late end of an old stream never detaches the
// lease of a new one.
type holders struct {
	mu    *sync.Mutex
	group *sync.WaitGroup
	byKey map[holderKey]*holder
}

type holderKey struct {
	runner Runner
	key    string
}

// holder is one stream's hold on a key.
type holder struct {
	all    holders
	key    holderKey
	nonce  string
	ctx    context.Context // ends with the request, or with errTakenOver
	cancel context.CancelCauseFunc
	gone   chan struct{} // closed when the stream has ended
	live   LiveLease     // set when there is a lease; guarded by all.mu
}

func newHolders() holders {
	return holders{mu: new(sync.Mutex), group: new(sync.WaitGroup), byKey: map[holderKey]*holder{}}
}

// take makes the request's stream the holder of its key. If the same caller has a live stream, take ends it and waits for its end. If another
// caller has one, take refuses.
func (h holders) take(ctx context.Context, runner Runner, req LeaseRequest) (*holder, error) {
	key := holderKey{runner, req.Key}
	for {
		h.mu.Lock()
		old := h.byKey[key]
		if old == nil {
			mine := h.put(ctx, key, req.Holder)
			h.mu.Unlock()
			return mine, nil
		}
		h.mu.Unlock()
		if req.Holder == "" || old.nonce != req.Holder {
			if old.ctx.Err() == nil {
				return nil, Errorf(CodeDuplicateKey, "the key %q is in use by another caller: use another key", req.Key)
			}
		} else {
			old.cancel(errTakenOver)
		}
		select {
		case <-old.gone:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (h holders) put(ctx context.Context, key holderKey, nonce string) *holder {
	ctx, cancel := context.WithCancelCause(ctx)
	mine := &holder{all: h, key: key, nonce: nonce, ctx: ctx, cancel: cancel, gone: make(chan struct{})}
	h.byKey[key] = mine
	h.group.Add(1)
	return mine
}

// bind sets the lease of the stream.
func (o *holder) bind(lease LiveLease) {
	o.all.mu.Lock()
	defer o.all.mu.Unlock()
	o.live = lease
}

// held returns the lease that a stream holds under key, or nil.
func (h holders) live(runner Runner, key string) LiveLease {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o := h.byKey[holderKey{runner, key}]; o != nil {
		return o.live
	}
	return nil
}

// settling is how long a stream may take to notice that its caller is gone.
const settling = time.Second

// settle waits until a stream that has no lease yet has ended, because its caller may be gone already. It does not wait for longer than settling.
func (h holders) settle(ctx context.Context, runner Runner, key string) {
	h.mu.Lock()
	o := h.byKey[holderKey{runner, key}]
	waiting := o != nil && o.live == nil
	h.mu.Unlock()
	if !waiting {
		return
	}
	limit := time.NewTimer(settling)
	defer limit.Stop()
	select {
	case <-o.gone:
	case <-limit.C:
	case <-ctx.Done():
	}
}

// drop removes the stream as the holder of its key.
func (o *holder) drop() {
	o.all.mu.Lock()
	delete(o.all.byKey, o.key)
	o.all.mu.Unlock()
	o.cancel(nil)
	close(o.gone)
	o.all.group.Done()
}

// wait returns when all streams have ended.
func (h holders) wait() { h.group.Wait() }
