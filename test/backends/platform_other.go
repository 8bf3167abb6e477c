//go:build !linux

package backends

func platform() []Backend { return nil }
