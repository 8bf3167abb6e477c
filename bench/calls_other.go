//go:build !linux

package bench

import "errors"

type callCounter struct{}

func countCalls(tree) (*callCounter, error) { return nil, errors.ErrUnsupported }

func (*callCounter) count() (uint64, error) { return 0, nil }

func (*callCounter) close() {}
