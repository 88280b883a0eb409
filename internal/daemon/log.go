package daemon

import (
	"io"
	"log/slog"

	"github.com/taskscaler/taskscaler/pkg/config"
)

// NewLogger makes the logger that the file's head asks for (log_level, log_format). atLeast raises the level.
func NewLogger(f *config.File, w io.Writer, atLeast slog.Level) *slog.Logger {
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(f.LogLevel)) // config has checked it
	o := &slog.HandlerOptions{Level: max(level, atLeast)}
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
