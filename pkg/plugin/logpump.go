package plugin

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/internal/safetext"
)

const (
	maxLogLine = 64 << 10 // bytes; the rest of a longer line is dropped
	maxLogText = 4 << 10  // bytes of a message in the log
	maxValue   = 2 << 10  // bytes of an attribute
	maxAttrs   = 32       // of one record
	maxKey     = 64       // bytes of an attribute's name
	tailLines  = 20       // how many of the last lines are kept for an error message
	tailWidth  = 300      // bytes of each
)

// logPump turns the lines that a plugin writes to standard error into log records of the host, and keeps the last ones. It assumes nothing
// about the lines: a plugin may print anything.
type logPump struct {
	printed func(line string) // may be nil
	log     *slog.Logger
	redact  *redactor
	mu      sync.Mutex
	tail    []string
	panic   bool     // a Go panic is being printed
	fatal   []string // the first lines of the panic, which say more than the last
	flow    flow
}

// read logs r line by line until it ends.
func (l *logPump) read(r io.Reader) {
	in := bufio.NewReaderSize(r, maxLogLine)
	for {
		line, more, err := in.ReadLine()
		if err != nil {
			l.tellDropped(l.flow.dropped)
			return
		}
		text, cut := string(line), more
		for more && err == nil {
			_, more, err = in.ReadLine()
		}
		l.line(text, cut)
	}
}

// line logs one line. cut says that it is the beginning of a longer one.
func (l *logPump) line(text string, cut bool) {
	text = strings.TrimRight(text, "\r\n")
	if text == "" {
		return
	}
	level, msg, attrs, ok := parseHCLog(text, l.redact)
	if !ok {
		level, msg = l.plain(text)
		if l.printed != nil && level != slog.LevelError { // the stack of a panic is no print
			l.printed(safetext.Line(msg, maxLogText))
		}
	}
	if cut { // perhaps in the middle of a secret
		msg = msg[:len(msg)/2]
	}
	l.remember(msg)
	pass, dropped := l.flow.next(time.Now())
	l.tellDropped(dropped)
	if pass {
		l.log.LogAttrs(context.Background(), level, safetext.Line(msg, maxLogText), attrs...)
	}
}

func (l *logPump) tellDropped(n int) {
	if n > 0 {
		l.log.Warn("the plugin printed too much: lines were dropped", slog.Int("lines", n), slog.Int("limit_per_second", maxPerSecond))
	}
}

// maxPerSecond is how many lines of a plugin are logged in one second.
const maxPerSecond = 200

// flow limits the lines of one plugin. It is used by one goroutine.
type flow struct {
	second  time.Time // when the present second began
	lines   int       // in it
	dropped int       // since the last time that it was told
}

// next reports whether one more line may be logged, and how many were dropped before, at most once a second.
func (f *flow) next(now time.Time) (pass bool, dropped int) {
	if now.Sub(f.second) >= time.Second {
		dropped, f.dropped = f.dropped, 0
		f.second, f.lines = now, 0
	}
	if f.lines++; f.lines > maxPerSecond {
		f.dropped++
		return false, dropped
	}
	return true, dropped
}

// plain returns the level and message of a line that is not a log record.
func (l *logPump) plain(text string) (slog.Level, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ") {
		l.panic = true
	}
	if l.panic {
		return slog.LevelError, l.redact.line(text)
	}
	return slog.LevelInfo, l.redact.line(text)
}

func (l *logPump) remember(msg string) {
	msg = safetext.Line(msg, tailWidth)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.panic && len(l.fatal) < tailLines {
		l.fatal = append(l.fatal, msg)
	}
	if len(l.tail) == tailLines {
		l.tail = slices.Delete(l.tail, 0, 1)
	}
	l.tail = append(l.tail, msg)
}

// last returns up to n of the last lines, or the first lines of a panic.
func (l *logPump) last(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.fatal) > 0 {
		return slices.Clone(l.fatal[:min(n, len(l.fatal))])
	}
	return slices.Clone(l.tail[max(0, len(l.tail)-n):])
}

// parseHCLog parses a log record in hclog's JSON form. ok is false for any other line.
func parseHCLog(line string, redact *redactor) (level slog.Level, msg string, attrs []slog.Attr, ok bool) {
	var record map[string]any
	if line[0] != '{' || json.Unmarshal([]byte(line), &record) != nil {
		return 0, "", nil, false
	}
	text, ok := record["@message"].(string)
	if !ok {
		return 0, "", nil, false
	}
	name, _ := record["@level"].(string)
	keys := make([]string, 0, len(record))
	for k := range record {
		if k != "@message" && k != "@level" && k != "@timestamp" {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys[:min(len(keys), maxAttrs)] {
		value := any(redacted)
		if !redact.isSecret(k) {
			value = redactValue(record[k], redact)
		}
		attrs = append(attrs, slog.Any(safetext.Line(redact.text(strings.TrimPrefix(k, "@")), maxKey), value))
	}
	if len(attrs) == 0 {
		return levelOf(name), redact.text(text), nil, true
	}
	// In a group of their own: a plugin must not overwrite the level, the time, the runner or a fact of the manager's own records.
	return levelOf(name), redact.text(text), []slog.Attr{{Key: "fields", Value: slog.GroupValue(attrs...)}}, true
}

// redactValue returns booleans and numbers unchanged unless a number is a secret, and any other value as a text without secrets.
func redactValue(v any, redact *redactor) any {
	switch v := v.(type) {
	case bool, nil:
		return v
	case float64:
		if text := strconv.FormatFloat(v, 'f', -1, 64); redact.text(text) != text {
			return redacted
		}
		return v
	case string:
		return safetext.Line(redact.text(v), maxValue)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%T", v)
	}
	return safetext.Line(redact.text(string(text)), maxValue)
}

func levelOf(name string) slog.Level {
	switch name {
	case "trace":
		return slog.LevelDebug - 4
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// pluginLevel returns the lowest hclog level that log accepts.
func pluginLevel(log *slog.Logger) string {
	for _, name := range []string{"trace", "debug", "info", "warn"} {
		if log.Enabled(context.Background(), levelOf(name)) {
			return name
		}
	}
	return "error"
}
