//go:build !linux

package netconn

import "mobius/test/backends"

func tiny() []backends.Backend { return nil }
