//go:build linux

package sys

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// appendFields appends the fields of m that are set.
func appendFields(to []byte, is4 bool, m *proactor.Msg) ([]byte, error) {
	if m.SegmentSize > 0 {
		var p []byte
		to, p = appendControl(to, unix.SOL_UDP, unix.UDP_SEGMENT, 2)
		binary.NativeEndian.PutUint16(p, uint16(min(m.SegmentSize, 1<<16-1)))
	}
	i := &m.Info
	if !is4 {
		return append6(to, i)
	}
	if i.Has&proactor.HasTrafficClass != 0 {
		to = appendInt(to, unix.IPPROTO_IP, unix.IP_TOS, int(i.TrafficClass))
	}
	if i.Has&proactor.HasTTL != 0 {
		to = appendInt(to, unix.IPPROTO_IP, unix.IP_TTL, int(i.TTL))
	}
	if i.Has&proactor.HasLocal != 0 {
		var p []byte
		to, p = appendControl(to, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		info := unix.Inet4Pktinfo{Ifindex: int32(i.Interface)}
		if local := i.Local.Unmap(); local.IsValid() {
			if !local.Is4() {
				return to, unix.EAFNOSUPPORT
			}
			info.Spec_dst = local.As4()
		}
		copy(p, unsafe.Slice((*byte)(unsafe.Pointer(&info)), unix.SizeofInet4Pktinfo))
	}
	return to, nil
}

// readSystemControl reads what is not the same everywhere.
func readSystemControl(h *unix.Cmsghdr, data []byte, m *proactor.Msg) {
	i := &m.Info
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TOS:
		i.TrafficClass = small8(data)
		i.Has |= proactor.HasTrafficClass
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TTL:
		i.TTL = small8(data)
		i.Has |= proactor.HasTTL
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		p := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
		// Addr is what the header says, a group or a broadcast address included;
		// Spec_dst, an address of this host, is what an answer would come from.
		i.Local, i.Interface = netip.AddrFrom4(p.Addr), int(p.Ifindex)
		i.Has |= proactor.HasLocal
	case h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(data) >= 2:
		m.SegmentSize = int(binary.NativeEndian.Uint16(data))
	case h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_CREDENTIALS && len(data) >= unix.SizeofUcred:
		c := (*unix.Ucred)(unsafe.Pointer(&data[0]))
		i.Credentials = proactor.Credentials{PID: int(c.Pid), UID: c.Uid, GID: c.Gid}
		i.Has |= proactor.HasCredentials
	}
}
