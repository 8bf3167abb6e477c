//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// controlRoom is how many bytes of control data a message has room for by
// itself: all of Info, a segment size, and 253 descriptors (SCM_MAX_FD).
const controlRoom = 1536

// appendControl appends one control message with a payload of size bytes, and
// returns where the payload goes. cmsg(3): what is between must be zero.
func appendControl(to []byte, level, kind, size int) (all, payload []byte) {
	at := len(to)
	space := unix.CmsgSpace(size)
	for range space {
		to = append(to, 0)
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&to[at]))
	h.Level, h.Type = int32(level), int32(kind)
	h.SetLen(unix.CmsgLen(size))
	start := at + unix.CmsgLen(0)
	return to, to[start : start+size]
}

// AppendControl appends to to what m says about bytes that are to be sent: its
// Control, then its fields, with files in the place of m.Files. to must be
// aligned as a cmsghdr is, or empty. is4 says whether they go to an IPv4
// address. The errors are those of what cannot be sent from such a socket.
func AppendControl(to []byte, network proactor.Network, is4 bool, m *proactor.Msg, files []int) ([]byte, error) {
	to = append(to, m.Control...)
	for len(to)%int(unsafe.Sizeof(uintptr(0))) != 0 {
		to = append(to, 0)
	}
	if len(files) > 0 {
		if network != proactor.Unix && network != proactor.Unixgram {
			return to, unix.EOPNOTSUPP
		}
		var p []byte
		to, p = appendControl(to, unix.SOL_SOCKET, unix.SCM_RIGHTS, 4*len(files))
		for i, fd := range files {
			binary.NativeEndian.PutUint32(p[4*i:], uint32(fd))
		}
	}
	if m.SegmentSize == 0 && m.Info.Has == 0 {
		return to, nil
	}
	if network != proactor.UDP {
		return to, unix.EOPNOTSUPP
	}
	return appendFields(to, is4, m)
}

// ReadControl reads control data that recvmsg(2) gave, with its flags, into
// m, whose Control it becomes. Descriptors are appended to m.Files.
func ReadControl(control []byte, flags int, m *proactor.Msg) {
	m.Control, m.Files, m.SegmentSize = control, m.Files[:0], 0
	m.Truncated = flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0
	m.Info = proactor.Info{}
	for len(control) >= unix.CmsgLen(0) {
		h, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return
		}
		readControl(&h, data, m)
		control = rest
	}
}

// readControl reads one control message.
func readControl(h *unix.Cmsghdr, data []byte, m *proactor.Msg) {
	switch {
	case h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_RIGHTS:
		for ; len(data) >= 4; data = data[4:] {
			m.Files = append(m.Files, int(int32(binary.NativeEndian.Uint32(data))))
		}
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_TCLASS:
		m.Info.TrafficClass = small8(data)
		m.Info.Has |= proactor.HasTrafficClass
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_HOPLIMIT:
		m.Info.TTL = small8(data)
		m.Info.Has |= proactor.HasTTL
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		p := (*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0]))
		m.Info.Local = ip6Address(proactor.UDP, p.Addr, 0, "").IP()
		m.Info.Interface = int(p.Ifindex)
		m.Info.Has |= proactor.HasLocal
	default:
		readSystemControl(h, data, m)
	}
}

// small8 reads a number of less than 256 that is a byte on some systems and an
// int on others.
func small8(data []byte) uint8 {
	switch {
	case len(data) >= 4:
		return uint8(binary.NativeEndian.Uint32(data))
	case len(data) >= 1:
		return data[0]
	}
	return 0
}

// appendInt appends a control message with an int.
func appendInt(to []byte, level, kind, value int) []byte {
	to, p := appendControl(to, level, kind, 4)
	binary.NativeEndian.PutUint32(p, uint32(value))
	return to
}

// append6 appends the fields for an IPv6 destination.
func append6(to []byte, i *proactor.Info) ([]byte, error) {
	if i.Has&proactor.HasTrafficClass != 0 {
		to = appendInt(to, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(i.TrafficClass))
	}
	if i.Has&proactor.HasTTL != 0 {
		to = appendInt(to, unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, int(i.TTL))
	}
	if i.Has&proactor.HasLocal != 0 {
		var p []byte
		to, p = appendControl(to, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		info := unix.Inet6Pktinfo{Ifindex: uint32(i.Interface)}
		if i.Local.IsValid() {
			if !i.Local.Is6() {
				return to, unix.EAFNOSUPPORT
			}
			info.Addr = i.Local.As16()
		}
		copy(p, unsafe.Slice((*byte)(unsafe.Pointer(&info)), unix.SizeofInet6Pktinfo))
	}
	return to, nil
}

// DupFiles appends duplicates of files to to, CLOEXEC, or returns why not,
// with none made.
func DupFiles(to, files []int) ([]int, error) {
	had := len(to)
	for _, fd := range files {
		twin, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			closeAll(to[had:])
			return to[:had], err
		}
		to = append(to, twin)
	}
	return to, nil
}

// CloseFiles closes descriptors that nobody is going to get.
func CloseFiles(files []int) { closeAll(files) }
