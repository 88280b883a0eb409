package daemon

import (
	"io"
	"log/slog"
	"time"

	"github.com/taskscaler/taskscaler/internal/logqueue"
	"github.com/taskscaler/taskscaler/pkg/config"
)

// closePatience is how long the end of a command waits for a log that nobody reads.
const closePatience = 2 * time.Second

// OpenLog makes a logger with the log_level and log_format of the file. atLeast is the lowest level that is logged. The records are written to w in
// the background: a log that nobody reads does not stop the manager, but loses records, which is then counted in the log. Call end at the end.
func OpenLog(f *config.File, w io.Writer, atLeast slog.Level) (log *slog.Logger, end func()) {
	var queue *logqueue.Queue
	queue = logqueue.New(w, logqueue.Limit, func(records int) {
		newLogger(f, queue, atLeast).Warn("records of this log were dropped, because it was not read or written fast enough", "records", records)
	})
	return newLogger(f, queue, atLeast), func() { queue.Close(closePatience) }
}

func newLogger(f *config.File, w io.Writer, atLeast slog.Level) *slog.Logger {
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(f.LogLevel)) // cannot fail: package config has checked the value
	o := &slog.HandlerOptions{Level: max(level, atLeast)}
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
