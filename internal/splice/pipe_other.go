//go:build !linux

package splice

import "syscall"

// A Pipe is never made on this system.
type Pipe struct{ n int }

func newPipe(int) (*Pipe, error) { return nil, ErrRefused }

func (p *Pipe) close() {}

// Len returns how many bytes are in the pipe.
func (p *Pipe) Len() int { return p.n }

// Size returns how many bytes it takes at most.
func (p *Pipe) Size() int { return 0 }

// Fill moves nothing.
func (p *Pipe) Fill(int, int) (int, syscall.Errno) { return 0, syscall.EINVAL }

// Drain moves nothing.
func (p *Pipe) Drain(int, int) (int, syscall.Errno) { return 0, syscall.EINVAL }

// Rest returns nothing.
func (p *Pipe) Rest() []byte { return nil }
