package pluginkit

import (
	"context"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// Slog returns a logger that writes to the one that Init received. Levels are kept: below Debug is hclog's trace. An attribute in a group has the group
// before its key, as in "disk.size". hclog's record has its own time and no source.
func Slog(log hclog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(&handler{log: log})
}

// handler is a slog.Handler above an hclog.Logger.
type handler struct {
	log    hclog.Logger // has the attributes of WithAttrs
	prefix string       // of the keys, with its dot
}

func level(l slog.Level) hclog.Level {
	switch {
	case l < slog.LevelDebug:
		return hclog.Trace
	case l < slog.LevelInfo:
		return hclog.Debug
	case l < slog.LevelWarn:
		return hclog.Info
	case l < slog.LevelError:
		return hclog.Warn
	}
	return hclog.Error
}

func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return h.log.GetLevel() <= level(l) }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var args []any
	r.Attrs(func(a slog.Attr) bool {
		args = flatten(args, h.prefix, a)
		return true
	})
	h.log.Log(level(r.Level), r.Message, args...)
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var args []any
	for _, a := range attrs {
		args = flatten(args, h.prefix, a)
	}
	if len(args) == 0 {
		return h
	}
	return &handler{h.log.With(args...), h.prefix}
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &handler{h.log, h.prefix + name + "."}
}

// flatten appends keys and values as hclog takes them.
func flatten(args []any, prefix string, a slog.Attr) []any {
	a.Value = a.Value.Resolve()
	switch {
	case a.Equal(slog.Attr{}):
		return args
	case a.Value.Kind() != slog.KindGroup:
		return append(args, prefix+a.Key, a.Value.Any())
	}
	if a.Key != "" {
		prefix += a.Key + "."
	}
	for _, inner := range a.Value.Group() {
		args = flatten(args, prefix, inner)
	}
	return args
}
