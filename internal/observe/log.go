package observe

import (
	"context"
	"log/slog"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/internal/scaler"
)

// Log returns an observer that writes every fact to log: its sentence is the message, its fields are the attributes.
func Log(log *slog.Logger) Observer {
	return Observer{
		Fact: func(f *scaler.Fact) {
			level := levelOf(f)
			if log.Enabled(context.Background(), level) {
				log.LogAttrs(context.Background(), level, Sentence(f), attrs(f)...)
			}
		},
		Commit: func(err error, failures int) {
			if err != nil {
				log.Error("the state could not be committed; until a commit succeeds, no lease is granted and nothing is created or deleted: check the disk and the state directory", "error", err, "failures", failures)
				return
			}
			log.Info("the state is committed again", "failures", failures)
		},
	}
}

func levelOf(f *scaler.Fact) slog.Level {
	switch f.Kind {
	case scaler.FactAlarm:
		return slog.LevelError
	case scaler.FactLost, scaler.FactRevoke, scaler.FactRefused, scaler.FactFruitless, scaler.FactListFailed, scaler.FactUnclaimed,
		scaler.FactIntent, scaler.FactPrepare:
		return slog.LevelWarn
	case scaler.FactForeign, scaler.FactBreaker:
		if f.On {
			return slog.LevelError
		}
	case scaler.FactUnreachable:
		if f.On {
			return slog.LevelWarn
		}
	case scaler.FactDeny:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func attrs(f *scaler.Fact) []slog.Attr {
	as := []slog.Attr{slog.String("fact", f.Kind.String())}
	if f.ID != "" {
		as = append(as, slog.String("instance", safetext.Line(string(f.ID), safetext.MaxName)))
	}
	if f.Key != "" {
		as = append(as, slog.String("key", safetext.Line(string(f.Key), safetext.MaxName)))
	}
	if f.Cause != 0 {
		as = append(as, slog.String("cause", f.Cause.String()))
	}
	if f.Count != 0 {
		as = append(as, slog.Int("count", f.Count))
	}
	if f.Failure.Failed() {
		as = append(as, slog.String("failure", f.Failure.Kind.String()))
	}
	if f.Took != 0 {
		as = append(as, slog.Duration("took", f.Took))
	}
	return as
}
