package serve

import (
	"log/slog"
	"os"
	"strings"
	"sync"
)

// stderr is the real standard error: the transport replaces os.Stderr by a
// stream that loses the last words of a process that dies.
var stderr = os.Stderr

var logger = sync.OnceValue(func() *slog.Logger {
	level := slog.LevelInfo
	if text := os.Getenv("LLEM_LOG"); text != "" {
		// An unknown word leaves the level as it is.
		_ = level.UnmarshalText([]byte(text))
	}
	return slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level, ReplaceAttr: hostKeys}))
})

// Logger returns the logger whose records reach the host's log of the trial,
// one JSON line each on standard error. LLEM_LOG sets the level (debug, info,
// warn, error). Do not log inside measured windows.
func Logger() *slog.Logger { return logger() }

// hostKeys gives slog's own keys the names that the host's log reader knows.
func hostKeys(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		return slog.String("@timestamp", a.Value.Time().Format("2006-01-02T15:04:05.000000Z07:00"))
	case slog.LevelKey:
		return slog.String("@level", strings.ToLower(a.Value.String()))
	case slog.MessageKey:
		return slog.Attr{Key: "@message", Value: a.Value}
	}
	return a
}
