//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package backends

func platform() []Backend { return nil }

func hostile() []Backend { return nil }

func parked() []Backend { return nil }
