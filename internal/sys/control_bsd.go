//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"net/netip"
	"runtime"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// appendFields appends the fields of m that are set. Of IPv4's only options
// can say such things here, not single datagrams on all systems.
func appendFields(to []byte, is4 bool, m *proactor.Msg) ([]byte, error) {
	if m.SegmentSize > 0 || is4 {
		return to, proactor.ErrUnsupported
	}
	return append6(to, &m.Info)
}

// readSystemControl reads what is not the same everywhere.
func readSystemControl(h *unix.Cmsghdr, data []byte, m *proactor.Msg) {
	if h.Level != unix.IPPROTO_IP {
		return
	}
	i := &m.Info
	switch tos := systemOptions[runtime.GOOS].recvTOS; {
	case tos != 0 && int(h.Type) == tos:
		i.TrafficClass = small8(data)
		i.Has |= proactor.HasTrafficClass
	case h.Type == unix.IP_RECVTTL:
		i.TTL = small8(data)
		i.Has |= proactor.HasTTL
	case h.Type == unix.IP_RECVDSTADDR && len(data) >= 4:
		i.Local = netip.AddrFrom4([4]byte(data))
		i.Has |= proactor.HasLocal
	}
}
