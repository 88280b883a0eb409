package daemon

import (
	"io"
	"log/slog"

	"github.com/taskscaler/taskscaler/pkg/config"
)

// NewLogger makes a logger with the log_level and log_format of the file. atLeast is the lowest level that is logged.
func NewLogger(f *config.File, w io.Writer, atLeast slog.Level) *slog.Logger {
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(f.LogLevel)) // cannot fail: package config has checked the value
	o := &slog.HandlerOptions{Level: max(level, atLeast)}
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
