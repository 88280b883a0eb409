package aws

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

const (
	maxBatch   = 100                  // ids in one call; DescribeInstanceStatus takes no more
	gather     = 5 * time.Millisecond // how long a question waits for others
	batchLimit = 45 * time.Second     // for one batch, with the retries of the SDK
	wantLimit  = 4 * time.Second      // for one whose answer nobody waits for
)

// batcher puts questions about single instances into calls for many. A question about an instance that is asked about already shares its answer.
type batcher[T any] struct {
	ctx  context.Context // ends with the group; a caller's context ends only its own wait
	size int             // ids in one call
	ask  func(ctx context.Context, ids []string) (map[string]T, error)

	running sync.WaitGroup
	mu      sync.Mutex
	asked   map[string]*batch[T] // by id, from the question to its answer
	open    *batch[T]            // gathers ids; nil: none does
}

// batch is one call, or more if an id in it is bad.
type batch[T any] struct {
	ids     []string
	timer   *time.Timer
	waiting int                // callers that wait for the answer
	cancel  context.CancelFunc // ends the call; nil: it was not sent yet
	done    chan struct{}
	answers map[string]T // to be read after done, as is err
	err     error
}

// newBatcher returns a batcher. ask makes one call, and leaves out an id that AWS does not know.
func newBatcher[T any](ctx context.Context, size int, ask func(ctx context.Context, ids []string) (map[string]T, error)) *batcher[T] {
	return &batcher[T]{ctx: ctx, size: size, ask: ask, asked: map[string]*batch[T]{}}
}

// get returns the answer for an instance, and false if AWS does not know the id.
func (b *batcher[T]) get(ctx context.Context, id string) (answer T, known bool, err error) {
	if err := ctx.Err(); err != nil {
		return answer, false, err
	}
	batch := b.await(id)
	select {
	case <-batch.done:
	case <-ctx.Done():
		b.leave(batch)
		return answer, false, provider.Errorf(provider.KindTransient, "AWS has not answered for instance %s: %w", id, context.Cause(ctx))
	}
	answer, known = batch.answers[id]
	if known {
		return answer, true, nil
	}
	return answer, false, batch.err
}

// await joins a batch as one who waits for its answer.
func (b *batcher[T]) await(id string) *batch[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	in := b.join(id)
	in.waiting++
	return in
}

// leave ends a call whose last caller has gone.
func (b *batcher[T]) leave(in *batch[T]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	in.waiting--
	b.endUnwanted(in)
}

// endUnwanted ends a call that nobody waits for. Whoever asks now makes a new one. b.mu is held.
func (b *batcher[T]) endUnwanted(in *batch[T]) {
	if in.waiting == 0 && in.cancel != nil {
		in.cancel()
		b.forget(in)
	}
}

// forget removes the ids of a batch from those that are asked about. b.mu is held.
func (b *batcher[T]) forget(in *batch[T]) {
	for _, id := range in.ids {
		if b.asked[id] == in {
			delete(b.asked, id)
		}
	}
}

// want asks about instances and does not wait for the answers.
func (b *batcher[T]) want(ids ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		b.join(id)
	}
}

// join puts an id into a batch, unless it is asked about already. b.mu is held.
func (b *batcher[T]) join(id string) *batch[T] {
	if in := b.asked[id]; in != nil {
		return in
	}
	return b.add(id)
}

// add puts an id into the open batch, and sends it if it is full.
func (b *batcher[T]) add(id string) *batch[T] {
	in := b.open
	if in == nil {
		in = &batch[T]{done: make(chan struct{})}
		b.open = in
		if b.size > 1 {
			in.timer = time.AfterFunc(gather, func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				if b.open == in {
					b.send(in)
				}
			})
		}
	}
	in.ids = append(in.ids, id)
	b.asked[id] = in
	if len(in.ids) >= b.size {
		b.send(in)
	}
	return in
}

// send closes the open batch and asks, in a goroutine of its own. b.mu is held.
func (b *batcher[T]) send(in *batch[T]) {
	if in.timer != nil {
		in.timer.Stop()
	}
	b.open = nil
	ctx, cancel := context.WithTimeout(b.ctx, batchLimit)
	in.cancel = cancel
	unwanted := time.AfterFunc(wantLimit, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.endUnwanted(in)
	})
	b.running.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				in.err = provider.Errorf(provider.KindTransient, "a call panicked, this is a bug, please report it: %v", p)
			}
			unwanted.Stop()
			cancel()
			b.mu.Lock()
			b.forget(in)
			b.mu.Unlock()
			close(in.done)
		}()
		in.answers, in.err = b.askAll(ctx, in.ids)
	})
}

// askAll asks about ids, and again without those that AWS calls bad.
func (b *batcher[T]) askAll(ctx context.Context, ids []string) (map[string]T, error) {
	answers := map[string]T{}
	for parts := [][]string{ids}; len(parts) > 0; {
		part := parts[0]
		parts = parts[1:]
		found, err := b.ask(ctx, part)
		switch {
		case err == nil:
			maps.Copy(answers, found)
		case provider.KindOf(err) != provider.KindNotFound:
			return answers, err
		case len(part) > 1:
			parts = append(parts, withoutBad(part, err)...)
		}
	}
	return answers, nil
}

// word is what an id can be in a sentence of AWS.
var word = regexp.MustCompile(`[0-9A-Za-z-]+`)

// withoutBad returns ids without those that err names. If it names none of them, it returns both halves.
func withoutBad(ids []string, err error) [][]string {
	named := word.FindAllString(err.Error(), -1)
	good := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(named, id) })
	switch len(good) {
	case 0:
		return nil
	case len(ids):
		return [][]string{ids[:len(ids)/2], ids[len(ids)/2:]}
	}
	return [][]string{good}
}

// wait waits until nothing is asked any more. The context of the batcher must have ended.
func (b *batcher[T]) wait() {
	b.mu.Lock()
	if b.open != nil {
		b.send(b.open)
	}
	b.mu.Unlock()
	b.running.Wait()
}

// instanceID is the form of an instance's id. AWS refuses a call with another one.
var instanceID = regexp.MustCompile(`^i-[0-9a-f]{8,32}$`)

// unknown is the error for an id that AWS or the group does not know.
func unknown(id string) error {
	return provider.Errorf(provider.KindNotFound, "instance %s is not one of the Auto Scaling group", safe(id))
}

// safe returns an id as it can be shown.
func safe(id string) string {
	if instanceID.MatchString(id) {
		return id
	}
	return fmt.Sprintf("%.80q", id)
}
