package taskscaler

import (
	"context"
	"log/slog"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// describe asks the group again for the limit that Init said, if the group can tell. A reload does this: an operator who raised the limit
// in the provider's console sends one. If it fails, the old limit stays in use.
func (t *Taskscaler) describe(ctx context.Context) {
	d, ok := t.group.(provider.Describer)
	if !ok {
		return
	}
	info, err := ask(ctx, t.work, callInit, "", 0, d.Describe)
	switch {
	case err != nil:
		t.log.Warn("the provider's limit could not be read again; the old one stays in use", slog.Any("error", err))
	case info.ID != t.info.ID:
		t.log.Warn("the provider describes another group; its limit is not used", slog.String("group", info.ID))
	default:
		t.setLimit(info.MaxSize)
	}
}

// setLimit reports whether the provider's limit changed.
func (t *Taskscaler) setLimit(most int) bool {
	most = max(most, 0)
	old := t.limit.Swap(int64(most))
	if old == int64(most) {
		return false
	}
	t.log.Info("the provider's limit on instances changed", slog.Int64("from", old), slog.Int("to", most))
	return true
}

// compareLimit warns if the provider's group is smaller than max_instances allows. The smaller limit holds.
func (t *Taskscaler) compareLimit(cfg *Config) {
	if most := int(t.limit.Load()); most > 0 && most < cfg.MaxInstances {
		t.log.Warn("the provider's group can hold fewer instances than max_instances allows; raise the limit of the group, or lower max_instances",
			slog.Int("group_limit", most), slog.Int("max_instances", cfg.MaxInstances))
	}
}

// relimit tells the core a limit that a plugin said in the Init of a new process. If a reload is under way, the next list does it.
func (t *Taskscaler) relimit() {
	g, ok := t.group.(interface{ Info() provider.ProviderInfo })
	if !ok || !t.reload.TryLock() {
		return
	}
	defer t.reload.Unlock()
	if info := g.Info(); info.ID == t.info.ID && t.setLimit(info.MaxSize) {
		t.compareLimit(t.config())
		core := t.coreConfig(t.config())
		t.inbox.put(&scaler.Event{Kind: scaler.EvReload, Config: &core}, nil)
	}
}
