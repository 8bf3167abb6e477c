package policies

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pires/go-proxyproto"

	"mobius/proactor"
)

// What a header of version 1 begins with, and its shortest and longest length
// with its CRLF (2.1).
const (
	v1Begin = "PROXY "
	v1Least = 15
	v1Most  = 107
)

// parseProxyV1 is parseProxyHeader for the human-readable format.
func parseProxyV1(p []byte) (h proxyHeader, n int, err error) {
	if k := min(len(p), len(v1Begin)); string(p[:k]) != v1Begin[:k] {
		return h, 0, noProxyHeader(p)
	}
	end := bytes.IndexByte(p[:min(len(p), v1Most)], '\n')
	switch {
	case end < 0 && len(p) >= v1Most:
		return h, 0, fmt.Errorf("%w: no end of the line", proxyproto.ErrVersion1HeaderTooLong)
	case end < 0:
		return h, max(len(p)+1, v1Least), nil
	case p[end-1] != '\r': // no CRLF ends before v1Begin does
		return h, 0, proxyproto.ErrLineMustEndWithCrlf
	}
	h, err = parseProxyLine(string(p[len(v1Begin) : end-1]))
	return h, end + 1, err
}

// parseProxyLine parses what stands between v1Begin and the CRLF.
func parseProxyLine(line string) (h proxyHeader, err error) {
	kind, rest, _ := strings.Cut(line, " ")
	h.version, h.command = 1, proxyproto.PROXY
	switch kind {
	case "TCP4":
		h.family = proxyproto.TCPv4
	case "TCP6":
		h.family = proxyproto.TCPv6
	case "UNKNOWN":
		h.command = proxyproto.LOCAL // whatever follows is ignored (2.1)
		return h, nil
	default:
		return h, fmt.Errorf("%w: %q, want TCP4, TCP6 or UNKNOWN", proxyproto.ErrCantReadAddressFamilyAndProtocol, kind)
	}
	var words [4]string // source and destination, and their ports
	for i := range words {
		more := i < len(words)-1
		var ok bool
		if words[i], rest, ok = strings.Cut(rest, " "); ok != more {
			return h, fmt.Errorf("%w: %q, want two addresses and two ports", proxyproto.ErrCantReadAddressFamilyAndProtocol, line)
		}
	}
	var ip [2]netip.Addr
	var port [2]uint16
	for i := range 2 {
		if ip[i], err = parseProxyIP(words[i], h.family == proxyproto.TCPv4); err != nil {
			return h, err
		}
		if port[i], err = parseProxyPort(words[i+2]); err != nil {
			return h, err
		}
	}
	h.source = proactor.IPAddress(proactor.TCP, ip[0], port[0])
	h.dest = proactor.IPAddress(proactor.TCP, ip[1], port[1])
	return h, nil
}

// parseProxyIP takes an address of the announced family alone, without a zone.
// An IPv4 address in IPv6 form may have dots, as inet_ntop(3) writes it.
func parseProxyIP(word string, four bool) (netip.Addr, error) {
	ip, err := netip.ParseAddr(word)
	if err != nil || ip.Is4() != four || ip.Zone() != "" {
		return ip, fmt.Errorf("%w: %q, want one of the announced family", proxyproto.ErrInvalidAddress, word)
	}
	return ip, nil
}

func parseProxyPort(word string) (uint16, error) {
	n, err := strconv.ParseUint(word, 10, 16)
	if err != nil || word[0] == '0' && word != "0" {
		return 0, fmt.Errorf("%w: %q, want 0 to 65535 without a heading zero", proxyproto.ErrInvalidPortNumber, word)
	}
	return uint16(n), nil
}
