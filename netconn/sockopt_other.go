//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package netconn

import "errors"

func setNoDelay(int, bool) error      { return errors.ErrUnsupported }
func setKeepAlive(int, bool) error    { return errors.ErrUnsupported }
func setReceiveBuffer(int, int) error { return errors.ErrUnsupported }
func setSendBuffer(int, int) error    { return errors.ErrUnsupported }
func setLinger(int, int) error        { return errors.ErrUnsupported }
func shutdownRead(int) error          { return errors.ErrUnsupported }
func shutdownWrite(int) error         { return errors.ErrUnsupported }
