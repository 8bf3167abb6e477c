//go:build dragonfly || netbsd || openbsd

package sys

import "mobius/proactor"

// peerCredentials: package unix has no call for it on these systems.
func peerCredentials(int) (proactor.Credentials, error) {
	return proactor.Credentials{}, proactor.ErrUnsupported
}
