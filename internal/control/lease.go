package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// How often the cause of a waiting caller is read. The first time is early, because a caller that was told to wait asks the next manager when
// this one goes away. It is not immediate, because a lease that is granted at once needs no message.
const (
	firstLook = 25 * time.Millisecond
	everyLook = 500 * time.Millisecond
)

// admit counts a new lease stream, or refuses it: streams stay open for as long as jobs run, so they must leave connections for other requests.
func (s *Server) admit() error {
	n := int(s.streams.Add(1))
	if s.limit > 0 && n > max(s.limit-spare, s.limit/2) {
		s.streams.Add(-1)
		return errBusy(s.limit)
	}
	return nil
}

// lease serves one lease stream.
func (s *Server) lease(w http.ResponseWriter, r *http.Request) {
	if err := s.admit(); err != nil {
		s.fail(w, err)
		return
	}
	defer s.streams.Add(-1)
	out := s.stream(w)
	defer out.end()
	var req LeaseRequest
	if err := s.decode(w, r, &req); err != nil {
		out.fail(err)
		return
	}
	if err := req.check(); err != nil {
		out.fail(err)
		return
	}
	runner, err := s.manager.Runner(req.Runner)
	if err != nil {
		out.fail(err)
		return
	}
	holder, err := s.holders.take(r.Context(), runner, req)
	if err != nil {
		out.fail(err)
		return
	}
	defer holder.drop()
	out.begin()
	s.serveLease(holder, out, runner, req)
}

func (req LeaseRequest) check() error {
	if err := errors.Join(checkKey(req.Key), checkRunner(req.Runner)); err != nil {
		return err
	}
	if req.Mode != ModeAcquire && req.Mode != ModeReattach && req.Mode != ModeResume {
		return Errorf(CodeBadRequest, "unknown mode %s: use acquire, reattach or resume", safetext.Quote(string(req.Mode)))
	}
	if len(req.Holder) > safetext.MaxName {
		return Errorf(CodeBadRequest, "the holder has %d bytes, and at most %d can be used", len(req.Holder), safetext.MaxName)
	}
	return nil
}

func checkKey(key string) error {
	if err := safetext.CheckName(key); err != nil {
		return Errorf(CodeBadRequest, "the key %v; use another key", err)
	}
	return nil
}

// checkRunner accepts "", which selects the only runner or all.
func checkRunner(selector string) error {
	if selector == "" {
		return nil
	}
	if err := safetext.CheckName(selector); err != nil {
		return Errorf(CodeBadRequest, "the name of the runner %v", err)
	}
	return nil
}

// serveLease serves one stream from the request to the end of the lease. If the caller's connection ends first, it detaches the lease.
func (s *Server) serveLease(holder *holder, out *eventWriter, runner Runner, req LeaseRequest) {
	ctx := holder.ctx
	live, info, err := s.reachable(holder, out, runner, req)
	if err != nil {
		out.send(Event{Error: asAPIError(err)})
		return
	}
	lease := live.Lease()
	lease.Connect = info
	if ctx.Err() == nil && (info != nil || req.Mode == ModeReattach) {
		out.send(Event{Lease: &lease})
	}
	select {
	case <-live.Ended():
		out.send(live.Last())
	case <-ctx.Done():
		if !errors.Is(context.Cause(ctx), errTakenOver) {
			runner.Detach(req.Key)
		}
	}
}

// Pauses between two questions for connect info that failed.
const (
	connectPauseMin = 250 * time.Millisecond
	connectPauseMax = 5 * time.Second
)

// reachable gets the lease that req asks for, and how to reach its instance. A lease whose instance nobody can say how to reach is of no use to
// a job, and the job must not fail for it. So reachable asks again until the provider answers; the caller is told why it waits. If the manager
// gives the instance up meanwhile, it gets another lease. A caller that reattaches knows how to reach its instance. The info is nil too where the
// lease or ctx ended first.
func (s *Server) reachable(holder *holder, out *eventWriter, runner Runner, req LeaseRequest) (LiveLease, *provider.ConnectInfo, error) {
	ctx := holder.ctx
	var told Wait
	live, err := s.obtain(ctx, out, runner, req)
	for pause := connectPauseMin; err == nil; pause = min(2*pause, connectPauseMax) {
		holder.bind(live)
		if req.Mode == ModeReattach {
			return live, nil, nil
		}
		info, failed := live.Connect(ctx)
		if failed == nil {
			return live, &info, nil
		}
		if ctx.Err() != nil {
			break
		}
		wait := Wait{Cause: record.CausePlugin.String(), Sentence: fmt.Sprintf("waiting for the provider to say how to reach instance %s: %v", live.Lease().Instance, failed)}
		if wait != told {
			told = wait
			out.send(Event{Wait: &wait})
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-live.Ended():
			if live.Last().Revoked == nil { // released by the caller, or the manager stops
				again.Stop()
				return live, nil, nil
			}
			live, err = s.obtain(ctx, out, runner, LeaseRequest{Runner: req.Runner, Key: req.Key, Mode: ModeAcquire})
			pause = connectPauseMin
		case <-ctx.Done():
		}
		again.Stop()
	}
	return live, nil, err
}

// obtain gets the lease that req asks for. While it waits, it tells the caller why.
func (s *Server) obtain(ctx context.Context, out *eventWriter, runner Runner, req LeaseRequest) (LiveLease, error) {
	if req.Mode != ModeAcquire {
		live, err := runner.Reattach(ctx, req.Key)
		if err == nil || req.Mode == ModeReattach || !errors.Is(err, &APIError{Code: CodeUnknownKey}) {
			return live, err
		}
	}
	told := Wait{}
	for {
		live, err := s.queue(ctx, out, runner, req.Key, &told)
		if !errors.Is(err, &APIError{Code: CodeDraining}) || req.Mode == ModeAcquire && told == (Wait{}) {
			return live, err
		}
		// It waited when the drain began. It waits here for the end of the drain: each further Acquire would be one more refusal in the journal.
		held := Wait{Cause: record.CauseDraining.String(), Sentence: heldSentence}
		if told != held {
			told = held
			out.send(Event{Wait: &held})
		}
		if err := runner.Reopened(ctx); err != nil {
			return nil, err
		}
	}
}

const heldSentence = "the manager is draining and takes no new work: waiting for `taskscaler drain --undo`, or for the next manager"

// queue waits for a slot. Meanwhile it tells the caller why it waits.
func (s *Server) queue(ctx context.Context, out *eventWriter, runner Runner, key string, told *Wait) (LiveLease, error) {
	type result struct {
		live LiveLease
		err  error
	}
	got := make(chan result, 1)
	go func() {
		live, err := runner.Acquire(ctx, key)
		got <- result{live, err}
	}()
	look := time.NewTimer(firstLook)
	defer look.Stop()
	for {
		select {
		case r := <-got:
			return r.live, r.err
		case <-look.C:
			if wait, ok := runner.Waiting(ctx, key); ok && wait != *told {
				*told = wait
				out.send(Event{Wait: &wait})
			}
			look.Reset(everyLook)
		}
	}
}
