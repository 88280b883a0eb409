package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/taskscaler/taskscaler/internal/redact"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// prepare prepares a running instance for its first job. It gets the connect info, connects (which pins the host key), and runs the ready
// command and the ReadyFunc. It sends the connect info to the loop together with the result, and both are committed together.
func (w *workers) prepare(cmd scaler.Command) {
	ev := scaler.Event{Kind: scaler.EvPrepared, Op: cmd.Op, ID: cmd.ID, Serial: cmd.Serial}
	info, err := ask(w.ctx, w, callPrepare, string(cmd.ID), cmd.Timeout, func(ctx context.Context) (provider.ConnectInfo, error) {
		info, err := w.makeReady(ctx, &cmd)
		if err != nil && ctx.Err() != nil { // it was interrupted, so it says nothing about the instance
			err = provider.Errorf(provider.KindTransient, "%w", err)
		}
		return info, err
	})
	if err != nil {
		ev.Failure, ev.Away = provider.FailureOf(err), errors.Is(err, provider.ErrAway)
		ev.On = ev.Failure.Kind == failure.Transient && ofTheWay(err)
		ev.Failure.Message = bounded(withoutSecrets(err.Error(), &info.ConnectorConfig)) // a secret that was cut could not be recognised
		w.t.inbox.put(&ev, nil)
		return
	}
	w.t.logReady(&info)
	stored, err := encodeInfo(cmd.Serial, info, &w.t.config().Connector)
	if err != nil {
		ev.Failure = provider.FailureOf(provider.Errorf(provider.KindConfig, "the connect info cannot be stored, this is a bug in the plugin, update or report it: %w", err))
		w.t.inbox.put(&ev, nil)
		return
	}
	w.t.inbox.putSecret(access{id: cmd.ID, serial: cmd.Serial, info: secret.Hide(info), stored: stored}, &ev)
}

func (w *workers) makeReady(ctx context.Context, cmd *scaler.Command) (provider.ConnectInfo, error) {
	ask := func() (provider.ConnectInfo, error) { return w.infoFor(ctx, cmd) }
	info, err := ask()
	if err != nil {
		return info, err
	}
	given := len(info.HostKeys) > 0
	client, info, err := w.t.reach(ctx, info, ask, giveUpTheWay)
	if err != nil {
		return info, reachFailure(err)
	}
	defer func() { _ = client.Close() }()
	command := w.t.config().ReadyCommand
	if command != "" {
		if err := runReady(ctx, client, command); err != nil {
			return info, err
		}
	}
	if w.t.ready != nil {
		if err := w.t.callReady(ctx, cmd, info, client); err != nil {
			return info, err
		}
	}
	if given || len(info.HostKeys) == 0 || command == "" && w.t.ready == nil {
		return info, nil
	}
	return w.lookAgain(ctx, info, ask)
}

// infoFor asks the provider how to reach an instance that is prepared. If it was ready before, its host key stays pinned.
func (w *workers) infoFor(ctx context.Context, cmd *scaler.Command) (provider.ConnectInfo, error) {
	info, err := w.askConnectInfo(ctx, cmd.ID)
	switch {
	case err == nil:
		w.t.failing.note(callLimits[callConnectInfo].name, cmd.ID, nil)
	case !errors.Is(err, provider.ErrAway):
		w.t.failing.note(callLimits[callConnectInfo].name, cmd.ID, errors.New(withoutSecrets(err.Error(), &info.ConnectorConfig)))
	}
	if known, ok := w.t.vault.get(cmd.ID); ok && known.serial == cmd.Serial && len(info.HostKeys) == 0 {
		info.HostKeys = known.info.Reveal().HostKeys
	}
	return info, err
}

// lookAgain connects a second time, after the ready command, and pins the host key that the instance has now: its first boot may have replaced
// the key of its image. No job has run there yet, so the whole preparation is the first contact.
func (w *workers) lookAgain(ctx context.Context, first provider.ConnectInfo, ask func() (provider.ConnectInfo, error)) (provider.ConnectInfo, error) {
	again := first
	if again.HostKeys = nil; expired(again) {
		fresh, err := ask()
		if err != nil {
			return first, err
		}
		again = fresh
	}
	client, again, err := w.t.reach(ctx, again, ask, giveUpTheWay)
	if err != nil {
		return first, reachFailure(err)
	}
	_ = client.Close()
	if !slices.Contains(again.HostKeys, first.HostKeys[0]) {
		w.t.log.Info("the instance changed its host key while it was prepared; the key that it has now is the one that is verified from now on", "instance", first.ID)
	}
	return again, nil
}

// callReady calls the embedder's ReadyFunc.
func (t *Taskscaler) callReady(ctx context.Context, cmd *scaler.Command, info provider.ConnectInfo, client connector.Client) error {
	inst := ReadyInstance{ID: string(cmd.ID), Info: info, Client: client}
	if r, ok := t.restored[cmd.ID]; ok && r.serial == cmd.Serial {
		inst.Restored, inst.Leases = true, r.keys
	}
	if err := t.ready(ctx, inst); err != nil {
		return readyFailure(err)
	}
	return nil
}

// reachFailure is dialFailure for an error of reach, which may also be the provider's.
func reachFailure(err error) error {
	var kind *provider.Error
	if errors.As(err, &kind) {
		return err
	}
	return dialFailure(err)
}

// dialFailure adds the kind to a failed connection. Failures that may pass with time are transient.
func dialFailure(err error) error {
	var hostKey *connector.HostKeyError
	var protocol *connector.UnsupportedProtocolError
	var key *connector.KeyError
	var setting *connector.SettingError
	switch {
	case ofTheWay(err):
		return &provider.Error{Kind: provider.KindTransient, Err: err}
	case errors.As(err, &hostKey):
		return &provider.Error{Kind: provider.KindUnhealthy, Err: err}
	case errors.As(err, &protocol), errors.As(err, &key), errors.As(err, &setting), errors.Is(err, connector.ErrNoUsername),
		errors.Is(err, connector.ErrNoPassword), errors.Is(err, connector.ErrPlainBasic):
		return &provider.Error{Kind: provider.KindConfig, Err: err}
	}
	return &provider.Error{Kind: provider.KindTransient, Err: err}
}

// readyFailure adds the kind to an error of the ReadyFunc. Without a kind of its own, it means that the instance is unhealthy, unless the jump host is to blame.
func readyFailure(err error) error {
	var kind *provider.Error
	if errors.As(err, &kind) {
		return err
	}
	kindOf := provider.KindUnhealthy
	if ofTheWay(err) {
		kindOf = provider.KindTransient
	}
	return &provider.Error{Kind: kindOf, Err: fmt.Errorf("ready function: %w", err)}
}

// runReady runs the ready command. If the command fails, the instance is unhealthy. If it was interrupted, the result is unknown, and the
// failure is transient.
func runReady(ctx context.Context, client connector.Client, command string) error {
	var stderr tail
	err := client.Run(ctx, connector.RunOptions{Command: command, Stderr: &stderr})
	var exit *connector.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		return provider.Errorf(provider.KindUnhealthy, "the ready command failed: %w%s", err, stderr.String())
	}
	return provider.Errorf(provider.KindTransient, "the ready command did not finish and is retried: %w%s", err, stderr.String())
}

// tail keeps the last tailSize bytes that are written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 1024

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailSize; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// String returns the last three lines, as the end of a message.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.buf), "?"))
	if text == "" {
		return ""
	}
	lines := strings.Split(text, "\n")
	return "; its last words: " + strings.Join(lines[max(len(lines)-3, 0):], " | ")
}

// withoutSecrets removes the instance's credentials from a text that the instance wrote.
func withoutSecrets(text string, c *provider.ConnectorConfig) string {
	var secrets []redact.Secret
	if len(c.Password) >= 4 {
		secrets = append(secrets, redact.Secret{Text: c.Password, Label: "[password]"})
	}
	return redact.New(append(secrets, redact.Key(string(c.Key), "[key]")...)).Text(text)
}

// logReady logs the addresses that LogInternalIP and LogExternalIP select.
func (t *Taskscaler) logReady(info *provider.ConnectInfo) {
	cfg := t.config()
	var attrs []any
	if cfg.LogInternalIP && info.InternalAddr != "" {
		attrs = append(attrs, slog.String("internal_addr", info.InternalAddr))
	}
	if cfg.LogExternalIP && info.ExternalAddr != "" {
		attrs = append(attrs, slog.String("external_addr", info.ExternalAddr))
	}
	if len(attrs) > 0 {
		t.log.Info("instance "+info.ID+" was prepared", attrs...)
	}
}

// remember stores connect info that changed after the preparation.
func (t *Taskscaler) remember(id record.ID, serial uint64, info provider.ConnectInfo) {
	stored, err := encodeInfo(serial, info, &t.config().Connector)
	if err != nil {
		t.log.Error("the connect info cannot be stored: this is a bug in the plugin, update or report it", "instance", string(id), "error", err)
		return
	}
	t.inbox.putSecret(access{id: id, serial: serial, info: secret.Hide(info), stored: stored}, nil)
}
