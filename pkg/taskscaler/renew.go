package taskscaler

import (
	"context"
	"errors"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// While the provider cannot say how to reach an instance, it is asked again after probeFirst, then after twice that time, up to probeLast.
const (
	probeFirst = 5 * time.Second
	probeLast  = time.Minute
)

// renew asks the provider for the connect info of a ready instance, and keeps it. Its host keys stay pinned. A failure stops new leases on the
// instance until the provider answers. patience is that of doubt.
func (t *Taskscaler) renew(ctx context.Context, id record.ID, serial uint64, patience int) (access, error) {
	fresh, err := t.fetch(ctx, id, serial)
	if err != nil && ctx.Err() == nil {
		t.doubt(id, serial, err, patience)
	}
	return fresh, err
}

// refresh is renew while the known connect info can still be used: a failure means nothing, unless the provider says that the instance is of no
// use.
func (t *Taskscaler) refresh(ctx context.Context, id record.ID, serial uint64) (access, error) {
	fresh, err := t.fetch(ctx, id, serial)
	switch {
	case err == nil || ctx.Err() != nil:
	case condemns(err):
		t.doubt(id, serial, err, 1)
	case !errors.Is(err, provider.ErrAway):
		t.noteAsked(id, serial, errors.New(t.words(id, err)))
	}
	return fresh, err
}

// fetch asks the provider for the connect info of a ready instance, and keeps it.
func (t *Taskscaler) fetch(ctx context.Context, id record.ID, serial uint64) (access, error) {
	info, err := t.work.connectInfo(ctx, id)
	if err != nil {
		return access{}, err
	}
	t.noteAsked(id, serial, nil)
	if known, ok := t.vault.get(id); ok && known.serial == serial && len(info.HostKeys) == 0 {
		info.HostKeys = known.info.Reveal().HostKeys
	}
	fresh := access{id: id, serial: serial, info: secret.Hide(info)}
	if t.vault.renew(fresh) {
		t.inbox.put(&scaler.Event{Kind: scaler.EvUnreachable, ID: id, Serial: serial}, nil)
	}
	t.keeper.mind(id, serial, info, false)
	return fresh, nil
}

// noteAsked records how the provider answered a question for connect info. A late answer about an earlier instance with this name says nothing.
func (t *Taskscaler) noteAsked(id record.ID, serial uint64, err error) {
	if known, ok := t.vault.get(id); ok && known.serial != serial {
		return
	}
	t.failing.note(callLimits[callConnectInfo].name, id, err)
}

// words are the words of a failure without the known credentials of its instance: they reach the log and the journal.
func (t *Taskscaler) words(id record.ID, err error) string {
	known, _ := t.vault.get(id)
	return withoutSecrets(err.Error(), known.config())
}

// doubt counts a failure to renew connect info. The first one stops new leases on the instance. If the failure says that the instance cannot be
// used, or there were patience times FailureThreshold of them, the instance is reported as unhealthy.
func (t *Taskscaler) doubt(id record.ID, serial uint64, err error, patience int) {
	words := t.words(id, err)
	if !errors.Is(err, provider.ErrAway) {
		t.noteAsked(id, serial, errors.New(words))
	}
	f := provider.FailureOf(err)
	counts := !errors.Is(err, provider.ErrAway) && f.Kind != provider.KindThrottled
	failures, first := t.vault.fail(id, serial, counts)
	f.Message = bounded("connect info: " + words)
	if !counts || !condemns(err) && failures < t.config().FailureThreshold*patience {
		if first {
			t.inbox.put(&scaler.Event{Kind: scaler.EvUnreachable, ID: id, Serial: serial, On: true, Failure: f}, nil)
			t.work.running.start(func() { t.probe(id, serial, patience) })
		}
		return
	}
	t.inbox.put(&scaler.Event{Kind: scaler.EvUnhealthy, ID: id, Serial: serial, Cause: record.CauseUnhealthy,
		Failure: failure.Failure{Kind: failure.Unhealthy, Message: f.Message}}, nil)
}

// probe asks for the connect info of an instance that nobody can reach, until the provider answers or the instance is gone. Its caller may have
// left, and the next one must not have to find out.
func (t *Taskscaler) probe(id record.ID, serial uint64, patience int) {
	for pause := probeFirst; ; pause = min(2*pause, probeLast) {
		timer := time.NewTimer(pause)
		select {
		case <-t.watching.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		s, ok := t.vault.get(id)
		if !ok || s.serial != serial {
			return
		}
		if !s.unreachable { // somebody else was answered, perhaps before the core heard of the failure
			t.inbox.put(&scaler.Event{Kind: scaler.EvUnreachable, ID: id, Serial: serial}, nil)
			return
		}
		if _, err := t.renew(t.watching, id, serial, patience); err == nil {
			return
		}
	}
}
