package main

import (
	"io"
	"log/slog"
)

// lineLogger writes a line per record to w, without the time if that is a
// terminal's or a service manager's business.
func lineLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}
