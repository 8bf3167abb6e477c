package policies

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"

	"github.com/pires/go-proxyproto"

	"mobius"
	"mobius/proactor"
)

// What a header of version 2 begins with, and how long it is without what its
// length field counts (2.2).
const (
	v2Begin = "\r\n\r\n\x00\r\nQUIT\n"
	v2Fixed = 16
)

// ErrProxyChecksum says that a header was changed on its way: it has a CRC32C
// that is not its own (PP2_TYPE_CRC32C).
var ErrProxyChecksum = errors.New("PROXY header with a wrong checksum")

// For the checksum: its table, and what stands in its own place.
var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	noChecksum [crc32.Size]byte
)

// parseProxyV2 is parseProxyHeader for the binary format. What is wrong is told
// as soon as the bytes are there that say it.
func parseProxyV2(p []byte, limit int) (h proxyHeader, n int, err error) {
	if k := min(len(p), len(v2Begin)); string(p[:k]) != v2Begin[:k] {
		return h, 0, noProxyHeader(p)
	}
	if len(p) > 12 && p[12]>>4 != 2 {
		return h, 0, fmt.Errorf("%w: %d, want 2", proxyproto.ErrUnknownProxyProtocolVersion, p[12]>>4)
	}
	if len(p) < v2Fixed {
		return h, v2Fixed, nil
	}
	h.version, h.command = 2, proxyproto.ProtocolVersionAndCommand(p[12])
	if h.command.IsUnspec() {
		return h, 0, fmt.Errorf("%w: %#x, want LOCAL 0x20 or PROXY 0x21", proxyproto.ErrUnsupportedProtocolVersionAndCommand, p[12])
	}
	length := int(binary.BigEndian.Uint16(p[14:]))
	addresses := 0
	if h.command.IsProxy() { // of LOCAL the family is ignored, whatever it is
		if h.family, addresses, err = proxyFamily(p[13]); err != nil {
			return h, 0, err
		}
	}
	if length > limit || length < addresses {
		return h, 0, fmt.Errorf("%w: %d, want %d to %d", proxyproto.ErrInvalidLength, length, addresses, limit)
	}
	if n = v2Fixed + length; len(p) < n || addresses == 0 {
		return h, n, nil // without addresses the block is skipped: nobody knows what stands in it
	}
	h.announce(p[v2Fixed:][:addresses])
	h.tlvs = p[v2Fixed+addresses : n]
	return h, n, checkProxyTLVs(p[:n], v2Fixed+addresses)
}

// proxyFamily returns the family and protocol of the 14th byte, and how long
// the addresses are. With one half unspecified there are none.
func proxyFamily(b byte) (f proxyproto.AddressFamilyAndProtocol, addresses int, err error) {
	f = proxyproto.AddressFamilyAndProtocol(b)
	switch {
	case b>>4 > 3 || b&15 > 2:
		err = fmt.Errorf("%w: %#02x, want 0x00, 0x11, 0x12, 0x21, 0x22, 0x31 or 0x32", proxyproto.ErrUnsupportedAddressFamilyAndProtocol, b)
	case f.IsUnspec():
		f = proxyproto.UNSPEC
	case f.IsIPv4():
		addresses = 2*4 + 2*2
	case f.IsIPv6():
		addresses = 2*16 + 2*2
	default:
		addresses = 2 * proxyPath
	}
	return f, addresses, err
}

// proxyPath is the length of a unix socket's name (2.2): that of sun_path.
const proxyPath = 108

// announce sets the addresses of a block that is as long as the family wants.
func (h *proxyHeader) announce(b []byte) {
	if h.family.IsUnix() {
		h.source, h.dest = proxyUnix(b[:proxyPath], h.family), proxyUnix(b[proxyPath:], h.family)
		return
	}
	network := proactor.TCP
	if h.family.IsDatagram() {
		network = proactor.UDP
	}
	size := (len(b) - 4) / 2
	source, _ := netip.AddrFromSlice(b[:size])
	dest, _ := netip.AddrFromSlice(b[size : 2*size])
	h.source = proactor.IPAddress(network, source, binary.BigEndian.Uint16(b[2*size:]))
	h.dest = proactor.IPAddress(network, dest, binary.BigEndian.Uint16(b[2*size+2:]))
}

// proxyUnix returns the address that is a sun_path: a path up to the first zero
// byte, or an abstract name after one (unix(7)), whose own length is not told:
// the zero bytes at its end are taken for filling.
func proxyUnix(b []byte, f proxyproto.AddressFamilyAndProtocol) mobius.Address {
	name := b
	if b[0] == 0 {
		name = bytes.TrimRight(b, "\x00")
	} else if end := bytes.IndexByte(b, 0); end > 0 {
		name = b[:end]
	}
	path := string(name)
	if b[0] == '@' {
		path = "./" + path // the same file: not an abstract name
	}
	if f.IsDatagram() {
		return proactor.UnixgramAddress(path)
	}
	return proactor.UnixAddress(path)
}

// findProxyChecksum returns where the checksum of header p stands, 0 if it has
// none. From at on p must be a sequence of TLVs.
func findProxyChecksum(p []byte, at int) (sum int, err error) {
	for at < len(p) {
		if len(p)-at < 3 {
			return 0, fmt.Errorf("%w: %d bytes, want at least 3", proxyproto.ErrTruncatedTLV, len(p)-at)
		}
		kind, size := proxyproto.PP2Type(p[at]), int(binary.BigEndian.Uint16(p[at+1:]))
		if at += 3; size > len(p)-at {
			return 0, fmt.Errorf("%w: type %#02x with %d of its %d bytes", proxyproto.ErrTruncatedTLV, byte(kind), len(p)-at, size)
		}
		if kind == proxyproto.PP2_TYPE_CRC32C {
			if size != crc32.Size || sum > 0 {
				return 0, fmt.Errorf("%w: want one CRC32C of 4 bytes", proxyproto.ErrMalformedTLV)
			}
			sum = at
		}
		at += size
	}
	return sum, nil
}

// checkProxyTLVs checks the TLVs that header p has from at on, the checksum
// among them (2.2.3).
func checkProxyTLVs(p []byte, at int) error {
	sum, err := findProxyChecksum(p, at)
	if err == nil && sum > 0 && proxyChecksum(p, sum) != binary.BigEndian.Uint32(p[sum:]) {
		err = ErrProxyChecksum
	}
	return err
}

// signProxy gives the checksum of a header that is to be sent its value, if
// there is one.
func signProxy(p []byte) error {
	if p[0] != v2Begin[0] {
		return nil
	}
	_, addresses, err := proxyFamily(p[13])
	if err != nil {
		return err
	}
	sum, err := findProxyChecksum(p, v2Fixed+addresses)
	if err == nil && sum > 0 {
		binary.BigEndian.PutUint32(p[sum:], proxyChecksum(p, sum))
	}
	return err
}

// proxyChecksum is the CRC32C of header p with zeros for the four bytes at sum,
// where it stands itself.
func proxyChecksum(p []byte, sum int) uint32 {
	c := crc32.Update(0, castagnoli, p[:sum])
	c = crc32.Update(c, castagnoli, noChecksum[:])
	return crc32.Update(c, castagnoli, p[sum+len(noChecksum):])
}
