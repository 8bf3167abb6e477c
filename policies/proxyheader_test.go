package policies

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"

	"mobius"
	"mobius/proactor"
)

// v2 returns a header of version 2.
func v2(command, family byte, block string) string {
	b := append([]byte(v2Begin), 0x20|command, family)
	return string(binary.BigEndian.AppendUint16(b, uint16(len(block)))) + block
}

// sunPath returns a name as it stands in a header.
func sunPath(name string) string { return name + strings.Repeat("\x00", proxyPath-len(name)) }

func tlv(kind byte, value string) string {
	return string([]byte{kind, byte(len(value) >> 8), byte(len(value))}) + value
}

// signed returns header h with a right checksum at its end.
func signed(command, family byte, block string) string {
	p := []byte(v2(command, family, block+tlv(3, "\x00\x00\x00\x00")))
	binary.BigEndian.PutUint32(p[len(p)-4:], proxyChecksum(p, len(p)-4))
	return string(p)
}

const (
	inet  = "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdb\xdc\x01\xbb" // 192.0.2.1:56284 to 198.51.100.2:443
	inet6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xdb\xdc\x01\xbb"
	full = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
	here = "127.0.0.1:4000 127.0.0.1:80" // what there is without a header
)

// goods are headers, and what they announce: source and destination.
var goods = map[string]string{
	"PROXY TCP4 192.0.2.1 198.51.100.2 56284 443\r\n":            "192.0.2.1:56284 198.51.100.2:443",
	"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n": "255.255.255.255:65535 255.255.255.255:65535",
	"PROXY TCP4 0.0.0.0 1.2.3.4 0 0\r\n":                         "0.0.0.0:0 1.2.3.4:0",
	"PROXY TCP6 2001:DB8::1 ::1 56284 443\r\n":                   "[2001:db8::1]:56284 [::1]:443",
	"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n":                    "192.0.2.1:1 [::1]:2",
	"PROXY TCP6 " + full + " " + full + " 65535 65535\r\n":       "[" + full + "]:65535 [" + full + "]:65535",
	"PROXY UNKNOWN\r\n":                                          here,
	"PROXY UNKNOWN whatever\r\n":                                 here,
	"PROXY UNKNOWN " + strings.Repeat("x", v1Most-16) + "\r\n":   here,

	v2(1, 0x11, inet):  "192.0.2.1:56284 198.51.100.2:443",
	v2(1, 0x21, inet6): "[2001:db8::1]:56284 [2001:db8::2]:443",
	v2(1, 0x12, inet):  "192.0.2.1:56284 198.51.100.2:443",
	v2(1, 0x22, inet6): "[2001:db8::1]:56284 [2001:db8::2]:443",
	v2(1, 0x31, sunPath("/run/a")+sunPath("/run/b")):          "/run/a /run/b",
	v2(1, 0x32, sunPath("\x00name")+sunPath("")):              "@name ",
	v2(1, 0x31, strings.Repeat("x", proxyPath)+sunPath("@x")): strings.Repeat("x", proxyPath) + " ./@x",
	v2(1, 0x11, inet+tlv(4, "")+tlv(2, "example.com")):        "192.0.2.1:56284 198.51.100.2:443",
	signed(1, 0x21, inet6+tlv(5, "an id")):                    "[2001:db8::1]:56284 [2001:db8::2]:443",
	v2(0, 0x00, ""):                                           here,
	v2(0, 0x11, inet):                                         here,
	v2(0, 0x11, "any thing"):                                  here,
	v2(0, 0xff, ""):                                           here,
	v2(1, 0x00, ""):                                           here,
	v2(1, 0x00, "any thing"):                                  here,
	v2(1, 0x10, inet):                                         here,
	v2(1, 0x01, ""):                                           here,
	v2(1, 0x11, inet+tlv(0xe0, strings.Repeat("x", DefaultMaxProxyHeader-len(inet)-3))): "192.0.2.1:56284 198.51.100.2:443",
}

// bads are what is none, and the error.
var bads = map[string]error{
	"GET / HTTP/1.1\r\n":                       proxyproto.ErrNoProxyProtocol,
	"\x16\x03\x01":                             proxyproto.ErrNoProxyProtocol,
	"PRI * HTTP/2.0\r\n":                       proxyproto.ErrNoProxyProtocol,
	"PROXYTCP4 192.0.2.1 198.51.100.2 1 2\r\n": proxyproto.ErrNoProxyProtocol,
	"proxy UNKNOWN\r\n":                        proxyproto.ErrNoProxyProtocol,
	"\r\n\r\n\x00\r\nQUIT\r":                   proxyproto.ErrNoProxyProtocol,
	"PROXY UNKNOWN " + strings.Repeat("x", v1Most-15) + "\r\n": proxyproto.ErrVersion1HeaderTooLong,
	"PROXY TCP4 " + strings.Repeat("1", v1Most):                proxyproto.ErrVersion1HeaderTooLong,
	"PROXY UNKNOWN\n":    proxyproto.ErrLineMustEndWithCrlf,
	"PROXY \n":           proxyproto.ErrLineMustEndWithCrlf,
	"PROXY UNKNOWNS\r\n": proxyproto.ErrCantReadAddressFamilyAndProtocol,
	"PROXY  UNKNOWN\r\n": proxyproto.ErrCantReadAddressFamilyAndProtocol,
	"PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n": proxyproto.ErrCantReadAddressFamilyAndProtocol,
	"PROXY TCP4\r\n": proxyproto.ErrCantReadAddressFamilyAndProtocol,
	"PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n":       proxyproto.ErrCantReadAddressFamilyAndProtocol,
	"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n":    proxyproto.ErrCantReadAddressFamilyAndProtocol,
	"PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n":    proxyproto.ErrCantReadAddressFamilyAndProtocol,
	"PROXY TCP4 192.0.02.1 198.51.100.2 1 2\r\n":    proxyproto.ErrInvalidAddress,
	"PROXY TCP4 ::1 198.51.100.2 1 2\r\n":           proxyproto.ErrInvalidAddress,
	"PROXY TCP4 192.0.2.1 ::ffff:1.2.3.4 1 2\r\n":   proxyproto.ErrInvalidAddress,
	"PROXY TCP6 192.0.2.1 ::1 1 2\r\n":              proxyproto.ErrInvalidAddress,
	"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n":           proxyproto.ErrInvalidAddress,
	"PROXY TCP6 ::1 1::2::3 1 2\r\n":                proxyproto.ErrInvalidAddress,
	"PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n": proxyproto.ErrInvalidPortNumber,
	"PROXY TCP4 192.0.2.1 198.51.100.2 1 02\r\n":    proxyproto.ErrInvalidPortNumber,
	"PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n":    proxyproto.ErrInvalidPortNumber,
	"PROXY TCP4 192.0.2.1 198.51.100.2 1 \r\n":      proxyproto.ErrInvalidPortNumber,

	v2Begin + "\x11\x11\x00\x0c" + inet:  proxyproto.ErrUnknownProxyProtocolVersion,
	v2Begin + "\x31":                     proxyproto.ErrUnknownProxyProtocolVersion,
	v2(2, 0x11, inet):                    proxyproto.ErrUnsupportedProtocolVersionAndCommand,
	v2(1, 0x41, inet):                    proxyproto.ErrUnsupportedAddressFamilyAndProtocol,
	v2(1, 0x13, inet):                    proxyproto.ErrUnsupportedAddressFamilyAndProtocol,
	v2(1, 0x11, inet[:11]):               proxyproto.ErrInvalidLength,
	v2(1, 0x21, inet):                    proxyproto.ErrInvalidLength,
	v2(1, 0x31, sunPath("/run/a")):       proxyproto.ErrInvalidLength,
	v2Begin + "\x21\x11\xff\xff":         proxyproto.ErrInvalidLength, // at once, not after 64 KiB
	v2Begin + "\x20\x00\x10\x01":         proxyproto.ErrInvalidLength,
	v2(1, 0x11, inet+"\x02"):             proxyproto.ErrTruncatedTLV,
	v2(1, 0x11, inet+"\x02\x00"):         proxyproto.ErrTruncatedTLV,
	v2(1, 0x11, inet+tlv(2, "name")[:6]): proxyproto.ErrTruncatedTLV,
	v2(1, 0x11, inet+tlv(3, "sum")):      proxyproto.ErrMalformedTLV,
	v2(1, 0x11, inet+tlv(3, "0000")):     ErrProxyChecksum,
	signed(1, 0x11, inet)[:20] + "\x01" + signed(1, 0x11, inet)[21:]:     ErrProxyChecksum,
	signed(1, 0x11, inet+signed(1, 0x11, inet)[len(v2(1, 0x11, inet)):]): proxyproto.ErrMalformedTLV,
}

const payload = "PROXY TCP4 5.5.5.5 6.6.6.6 5 6\r\nhello"

func announced(p *sink) string { return fmt.Sprint(p.t.RemoteAddr(), " ", p.t.LocalAddr()) }

// Wherever a header is cut, it is read, and what follows it is the protocol's,
// a second header included.
func TestProxyHeaders(t *testing.T) {
	for header, want := range goods {
		whole := []byte(header + payload)
		for cut := range len(header) + 2 {
			p, err := feed(0, whole[:cut], whole[cut:])
			if err != nil || p == nil || announced(p) != want || string(p.got) != payload {
				t.Fatalf("%q, cut after %d: %v, %+v; want %s", header, cut, err, p, want)
			}
		}
		p, err := feed(0, single(whole)...)
		if err != nil || p == nil || announced(p) != want || string(p.got) != payload {
			t.Errorf("%q, byte by byte: %v, %+v; want %s", header, err, p, want)
		}
		if p, err := feed(0, whole[:len(header)-1]); p != nil || err != nil {
			t.Errorf("%q without its last byte: %v, %v", header, p, err)
		}
	}
}

func single(p []byte) (pieces [][]byte) {
	for i := range p {
		pieces = append(pieces, p[i:i+1])
	}
	return pieces
}

// What is no header is refused, wherever it is cut, and no protocol is built.
func TestBadProxyHeaders(t *testing.T) {
	for header, want := range bads {
		whole := []byte(header + payload)
		if p, err := feed(0, []byte(header)); p != nil || !errors.Is(err, want) {
			t.Errorf("%q: %v, %v; want %v", header, p, err, want)
		}
		for cut := range len(header) + 1 {
			if p, err := feed(0, whole[:cut], whole[cut:]); p != nil || !errors.Is(err, want) {
				t.Errorf("%q, cut after %d: %v, %v; want %v", header, cut, p, err, want)
			}
		}
		if p, err := feed(0, single(whole)...); p != nil || !errors.Is(err, want) {
			t.Errorf("%q, byte by byte: %v, %v; want %v", header, p, err, want)
		}
	}
}

// The limit counts what follows the fixed part.
func TestProxyHeaderLimit(t *testing.T) {
	header := []byte(v2(1, 0x11, inet+tlv(0xe0, "12345")))
	if p, err := feed(len(inet)+8, header); p == nil || err != nil {
		t.Errorf("as long as it may be: %v", err)
	}
	if p, err := feed(len(inet)+7, header); p != nil || !errors.Is(err, proxyproto.ErrInvalidLength) {
		t.Errorf("too long: %v", err)
	}
	if p, err := feed(65535, []byte(v2(1, 0x11, inet+tlv(0xe0, strings.Repeat("x", 65535-len(inet)-3))))); p == nil || err != nil {
		t.Errorf("as long as any: %v", err)
	}
}

// Of a header that comes in pieces nothing but itself is kept.
func TestNothingBehindAProxyHeaderIsKept(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	for _, header := range []string{"PROXY TCP4 192.0.2.1 198.51.100.2 56284 443\r\n", v2(0, 0, big[:500])} {
		c := &proxied{}
		rest := c.keep([]byte(header)[:1], v2Fixed)
		for len(c.head) < len(header) {
			_, n, err := parseProxyHeader(c.head, DefaultMaxProxyHeader)
			if err != nil {
				t.Fatal(err)
			}
			rest = c.keep([]byte(header + big)[len(c.head):], n)
		}
		if string(c.head) != header || len(rest) != len(big) || cap(c.head) > 2*len(header)+v1Most {
			t.Errorf("of %q, %d bytes and room for %d are kept", header, len(c.head), cap(c.head))
		}
	}
}

// The protocol gets the header with its TLVs, and the real addresses.
func TestProxied(t *testing.T) {
	header := []byte(signed(1, 0x11, inet+tlv(2, "example.com")+tlv(4, "xx")+tlv(0xe0, "")))
	p, err := feed(0, header[:40], header[40:])
	if err != nil {
		t.Fatal(err)
	}
	about, ok := mobius.As[Proxied](p.t)
	if !ok {
		t.Fatal("the transport is no Proxied")
	}
	if local, remote := about.SocketAddrs(); local != serverAt || remote != proxyAt {
		t.Errorf("the connection's own addresses are %v and %v", local, remote)
	}
	h := about.ProxyHeader()
	tlvs, err := h.TLVs()
	if err != nil || h.Version != 2 || !h.Command.IsProxy() || h.TransportProtocol != proxyproto.TCPv4 ||
		fmt.Sprint(h.SourceAddr, h.DestinationAddr) != "192.0.2.1:56284 198.51.100.2:443" {
		t.Errorf("%+v, %v", h, err)
	}
	want := []proxyproto.TLV{
		{Type: proxyproto.PP2_TYPE_AUTHORITY, Value: []byte("example.com")}, {Type: proxyproto.PP2_TYPE_NOOP},
		{Type: 0xe0, Value: []byte{}}, {Type: proxyproto.PP2_TYPE_CRC32C, Value: header[len(header)-4:]},
	}
	if !reflect.DeepEqual(tlvs, want) {
		t.Errorf("TLVs %v, want %v", tlvs, want)
	}
}

// A header of version 2 is parsed without allocating, one of version 1 with one.
func TestProxyHeaderAllocations(t *testing.T) {
	for header, most := range map[string]float64{
		signed(1, 0x21, inet6+tlv(5, "an id")): 0, v2(0, 0, ""): 0, "PROXY UNKNOWN\r\n": 1,
		"PROXY TCP6 2001:db8::1 2001:db8::2 56284 443\r\n": 1,
	} {
		p := []byte(header + payload)
		if n := testing.AllocsPerRun(100, func() {
			if _, n, err := parseProxyHeader(p, DefaultMaxProxyHeader); n != len(header) || err != nil {
				t.Error(n, err)
			}
		}); n > most {
			t.Errorf("%q: %v allocations, want %v", header, n, most)
		}
	}
}

// An IPv4 network is the same in either notation, and so is an address.
func TestTrustedNetworkInIPv6Notation(t *testing.T) {
	for _, c := range []struct {
		network, peer string
		want          bool
	}{
		{"::ffff:10.0.0.0/104", "10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "::ffff:10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "11.1.2.3", false},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"::ffff:0:0/96", "192.0.2.1", true},
		{"::ffff:0:0/96", "2001:db8::1", false},
		{"::ffff:0:0/95", "192.0.2.1", false}, // not of IPv4 alone
		{"::/0", "192.0.2.1", false},
		{"2001:db8::/32", "2001:db8::1", true},
	} {
		f := &ProxyProtocol{Trusted: []netip.Prefix{netip.MustParsePrefix(c.network)}}
		peer := proactor.IPAddress(proactor.TCP, netip.MustParseAddr(c.peer), 1)
		if got := f.trusts(peer); got != c.want {
			t.Errorf("%s trusts %s: %v", c.network, c.peer, got)
		}
	}
}
