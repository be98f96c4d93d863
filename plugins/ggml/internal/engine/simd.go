package engine

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
)

// SIMDLog is a log handler that passes warnings on and keeps the one record in
// which the engine says what vector instructions its kernels use; there is no
// other way to learn it. Make it the default before Open.
type SIMDLog struct {
	next slog.Handler

	mu       sync.Mutex
	features map[string]string
}

// NewSIMDLog returns a handler in front of next.
func NewSIMDLog(next slog.Handler) *SIMDLog { return &SIMDLog{next: next} }

// Features lists the instruction sets in use, such as "AVX2", in order. It is
// empty before Open.
func (l *SIMDLog) Features() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(l.features)) {
		if value := l.features[name]; value != "0" && value != "" {
			names = append(names, name)
		}
	}
	return names
}

// Enabled implements slog.Handler.
func (l *SIMDLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle implements slog.Handler.
func (l *SIMDLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "system" {
		r.Attrs(func(a slog.Attr) bool { l.keep(a); return true })
		return nil
	}
	if r.Level < slog.LevelWarn || !l.next.Enabled(ctx, r.Level) {
		return nil
	}
	return l.next.Handle(ctx, r)
}

// keep walks groups such as CPU.0 = {AVX2 = 1, FMA = 1}.
func (l *SIMDLog) keep(a slog.Attr) {
	value := a.Value.Resolve()
	if value.Kind() != slog.KindGroup {
		return
	}
	for _, inner := range value.Group() {
		if strings.HasPrefix(a.Key, "CPU.") && inner.Value.Resolve().Kind() == slog.KindString {
			l.mu.Lock()
			if l.features == nil {
				l.features = map[string]string{}
			}
			l.features[inner.Key] = inner.Value.Resolve().String()
			l.mu.Unlock()
			continue
		}
		l.keep(inner)
	}
}

// WithAttrs implements slog.Handler.
func (l *SIMDLog) WithAttrs(attrs []slog.Attr) slog.Handler { return l.next.WithAttrs(attrs) }

// WithGroup implements slog.Handler.
func (l *SIMDLog) WithGroup(name string) slog.Handler { return l.next.WithGroup(name) }
