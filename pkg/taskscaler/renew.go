package taskscaler

import (
	"context"
	"errors"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// While the provider cannot say how to reach an instance, it is asked again after probeFirst, then after twice that time, up to probeLast.
const (
	probeFirst = 5 * time.Second
	probeLast  = time.Minute
)

// renew asks the provider for the connect info of a ready instance, and keeps it. Its host keys stay pinned. A failure stops new leases on the
// instance until the provider answers.
func (t *Taskscaler) renew(ctx context.Context, id record.ID, serial uint64) (secret, error) {
	known, ok := t.vault.get(id)
	ours := ok && known.serial == serial
	info, err := t.work.connectInfo(ctx, id)
	if err != nil {
		if ctx.Err() == nil {
			t.doubt(id, serial, err, redact(err.Error(), &known.info.ConnectorConfig))
		}
		return secret{}, err
	}
	t.failing.note(callLimits[callConnectInfo].name, id, nil)
	if len(info.HostKeys) == 0 && ours {
		info.HostKeys = known.info.HostKeys
	}
	fresh := secret{id: id, serial: serial, info: info}
	if t.vault.renew(fresh) {
		t.inbox.put(&scaler.Event{Kind: scaler.EvUnreachable, ID: id, Serial: serial}, nil)
	}
	return fresh, nil
}

// doubt counts a failure to renew connect info. The first one stops new leases on the instance. If the failure says that the instance cannot be
// used, or there were too many, the instance is reported as unhealthy. words are the failure without the known credentials: they reach the log
// and the journal.
func (t *Taskscaler) doubt(id record.ID, serial uint64, err error, words string) {
	if !errors.Is(err, provider.ErrAway) {
		t.failing.note(callLimits[callConnectInfo].name, id, errors.New(words))
	}
	f := provider.FailureOf(err)
	counts := !errors.Is(err, provider.ErrAway) && f.Kind != provider.KindThrottled
	failures, first := t.vault.fail(id, serial, counts)
	f.Message = bounded("connect info: " + words)
	if !counts || f.Kind != provider.KindNotFound && f.Kind != provider.KindUnhealthy && failures < t.config().FailureThreshold {
		if first {
			t.inbox.put(&scaler.Event{Kind: scaler.EvUnreachable, ID: id, Serial: serial, On: true, Failure: f}, nil)
			t.work.running.start(func() { t.probe(id, serial) })
		}
		return
	}
	t.inbox.put(&scaler.Event{Kind: scaler.EvUnhealthy, ID: id, Serial: serial, Cause: record.CauseUnhealthy,
		Failure: failure.Failure{Kind: failure.Unhealthy, Message: f.Message}}, nil)
}

// probe asks for the connect info of an instance that nobody can reach, until the provider answers or the instance is gone. Its caller may have
// left, and the next one must not have to find out.
func (t *Taskscaler) probe(id record.ID, serial uint64) {
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
		if _, err := t.renew(t.watching, id, serial); err == nil {
			return
		}
	}
}
