package fake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// troubles are what a reactor had to report since somebody looked.
type troubles struct {
	mu   sync.Mutex // calls in threads may log, too
	errs []error
}

func (t *troubles) add(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errs = append(t.errs, err)
}

// take returns all of them as one error, nil if there is none.
func (t *troubles) take() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := errors.Join(t.errs...)
	t.errs = nil
	return err
}

// A watcher is a logger's handler that keeps what is an error.
type watcher struct {
	slog.Handler
	to *troubles
}

// Enabled reports that errors are wanted, and what the handler behind wants.
func (w *watcher) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelError || w.Handler.Enabled(ctx, l)
}

// Handle keeps errors, and passes on what the handler behind wants.
func (w *watcher) Handle(ctx context.Context, rec slog.Record) error {
	if rec.Level >= slog.LevelError {
		var text strings.Builder
		rec.Attrs(func(a slog.Attr) bool {
			fmt.Fprintf(&text, "\n%s: %v", a.Key, a.Value)
			return true
		})
		w.to.add(fmt.Errorf("fake: the reactor reports: %s%s", rec.Message, text.String()))
	}
	if !w.Handler.Enabled(ctx, rec.Level) {
		return nil
	}
	return w.Handler.Handle(ctx, rec)
}

// WithAttrs keeps watching.
func (w *watcher) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &watcher{Handler: w.Handler.WithAttrs(attrs), to: w.to}
}

// WithGroup keeps watching.
func (w *watcher) WithGroup(name string) slog.Handler {
	return &watcher{Handler: w.Handler.WithGroup(name), to: w.to}
}
