package compat

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// logger returns what the engine logs with; nil means slog.Default().
func (o *Options) logger() (*slog.Logger, error) {
	switch {
	case o.Logger != nil:
		return slog.New(&handler{to: o.Logger, level: o.LogLevel}), nil
	case o.LogPath != "":
		f, err := os.OpenFile(o.LogPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			return nil, fmt.Errorf("compat: WithLogPath: %w", err)
		}
		o.file = f
		return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: o.LogLevel})), nil
	}
	return nil, nil
}

func (o *Options) closeLog() error {
	if o.file == nil {
		return nil
	}
	f := o.file
	o.file = nil
	return f.Close()
}

// handler is a slog.Handler made of a Logger.
type handler struct {
	to    Logger
	level slog.Level
	with  string // attributes that every line gets
	group string
}

// Enabled reports whether a level is wanted.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// Handle logs a line.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var line strings.Builder
	line.WriteString(r.Message)
	line.WriteString(h.with)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&line, " %s%s=%v", h.group, a.Key, a.Value)
		return true
	})
	log := h.to.Errorf
	switch {
	case r.Level < slog.LevelInfo:
		log = h.to.Debugf
	case r.Level < slog.LevelWarn:
		log = h.to.Infof
	case r.Level < slog.LevelError:
		log = h.to.Warnf
	}
	log("%s", line.String())
	return nil
}

// WithAttrs returns a handler whose lines have more attributes.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := *h
	for _, a := range attrs {
		more.with += fmt.Sprintf(" %s%s=%v", h.group, a.Key, a.Value)
	}
	return &more
}

// WithGroup returns a handler whose attributes are in a group.
func (h *handler) WithGroup(name string) slog.Handler {
	more := *h
	more.group += name + "."
	return &more
}
