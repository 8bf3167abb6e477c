package policies

import (
	"bufio"
	"bytes"
	"errors"
	"hash/crc32"
	"reflect"
	"testing"

	"github.com/pires/go-proxyproto"
)

// An oracle is what go-proxyproto says of the bytes that a connection begins
// with, when they all come at once.
type oracle struct {
	h    *proxyproto.Header
	err  error
	rest []byte
}

func ask(p []byte) (o oracle) {
	in := bytes.NewReader(p)
	r := bufio.NewReaderSize(in, len(p)+v2Fixed)
	o.h, o.err = proxyproto.Read(r)
	o.rest = p[len(p)-r.Buffered()-in.Len():]
	return o
}

// differs reports whether we and the oracle differ on purpose about p, a
// header of version 2: why says where doc/proxy-protocol.txt has it.
func (o *oracle) differs(p []byte, ours error) (why string) {
	if len(p) < v2Fixed || p[0] != v2Begin[0] {
		return ""
	}
	local, half := p[12] == byte(proxyproto.LOCAL), p[13]&0x0f == 0 || p[13]&0xf0 == 0
	switch {
	case o.err == nil && errors.Is(ours, ErrProxyChecksum):
		return "2.2.3: a wrong checksum MUST make the connection invalid"
	case o.err == nil && (errors.Is(ours, proxyproto.ErrTruncatedTLV) || errors.Is(ours, proxyproto.ErrMalformedTLV)):
		return "2.2: what follows the addresses is TLVs, so that a checksum among them can be found"
	case errors.Is(o.err, proxyproto.ErrUnsupportedAddressFamilyAndProtocol) && local && ours == nil:
		return "2.2, LOCAL: accepted as valid, the family is ignored"
	case errors.Is(o.err, proxyproto.ErrUnsupportedAddressFamilyAndProtocol) && half && ours == nil:
		return "2.2, UNSPEC: accepted, with the connection's own addresses"
	}
	return ""
}

// same checks that a header that both took is the same to both.
func (o *oracle) same(t *testing.T, ours *proxyproto.Header) {
	t.Helper()
	if ours.Version != o.h.Version || ours.Command != o.h.Command {
		t.Fatalf("%+v, oracle %+v", ours, o.h)
	}
	if ours.Command.IsLocal() {
		return // 2.2: the block is discarded, while the oracle shows what it holds
	}
	if ours.TransportProtocol != o.h.TransportProtocol {
		t.Fatalf("%+v, oracle %+v", ours, o.h)
	}
	if !ours.TransportProtocol.IsUnix() { // 2.2: 108 bytes, which may be an abstract name: the oracle has none
		if ours.SourceAddr.String() != o.h.SourceAddr.String() || ours.DestinationAddr.String() != o.h.DestinationAddr.String() {
			t.Fatalf("%+v, oracle %+v", ours, o.h)
		}
	}
	a, err := ours.TLVs()
	b, err2 := o.h.TLVs()
	if err != nil || err2 != nil || !reflect.DeepEqual(a, b) {
		t.Fatalf("TLVs %v, %v; oracle %v, %v", a, err, b, err2)
	}
}

// FuzzProxyHeader holds our parser against go-proxyproto's, and what is read in
// pieces against what is read at once.
func FuzzProxyHeader(f *testing.F) {
	for h := range goods {
		f.Add([]byte(h+payload), uint16(len(h)/2), uint16(3))
	}
	for h := range bads {
		f.Add([]byte(h), uint16(7), uint16(0))
	}
	f.Fuzz(func(t *testing.T, p []byte, a, b uint16) {
		if len(p) == 0 {
			return
		}
		o := ask(p)
		h, n, err := parseProxyHeader(p, int(proxyproto.MaxV2HeaderSize))
		complete := err == nil && n <= len(p)
		switch why := o.differs(p, err); {
		case why != "":
		case complete != (o.err == nil):
			t.Fatalf("%q: complete %v, %v; oracle %v", p, complete, err, o.err)
		case complete:
			o.same(t, h.header())
			if !bytes.Equal(p[n:], o.rest) {
				t.Fatalf("%d bytes are left, oracle %d", len(p)-n, len(o.rest))
			}
		}
		if complete {
			again(t, &h)
		} else if err == nil && n > v2Fixed+int(proxyproto.MaxV2HeaderSize) {
			t.Fatalf("%d bytes are wanted", n)
		}
		x, y := int(a)%(len(p)+1), int(b)%(len(p)+1)
		made, refused := feed(int(proxyproto.MaxV2HeaderSize), p[:min(x, y)], p[min(x, y):max(x, y)], p[max(x, y):])
		if (made != nil) != complete || (refused != nil) != (err != nil) {
			t.Fatalf("%q cut at %d and %d: %v, %v; whole: %v, %v", p, x, y, made, refused, complete, err)
		}
		if complete && (!bytes.Equal(made.got, p[n:]) || !reflect.DeepEqual(made.t.(Proxied).ProxyHeader(), h.header())) {
			t.Fatalf("%q cut at %d and %d: %q, %+v", p, x, y, made.got, made.t.(Proxied).ProxyHeader())
		}
	})
}

// again sends a header on, and reads it again.
func again(t *testing.T, h *proxyHeader) {
	t.Helper()
	if max(len(h.source.Path()), len(h.dest.Path())) > proxyPath {
		return // what we have put before an @ does not fit
	}
	sent, err := h.header().Format()
	if err == nil {
		err = signProxy(sent)
	}
	if err != nil {
		t.Fatal(err)
	}
	got, n, err := parseProxyHeader(sent, 1<<16)
	if err != nil || n != len(sent) || got.source != h.source || got.dest != h.dest || got.command != h.command {
		t.Fatalf("%+v was sent as %q and read as %+v, %v", h, sent, got, err)
	}
}

// The checksum is that of RFC 3720, B.4, whatever the zeros hide.
func TestProxyChecksum(t *testing.T) {
	p := bytes.Repeat([]byte{0xff}, 32)
	copy(p[8:], "\x00\x00\x00\x00")
	want := crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli))
	copy(p[8:], "1234")
	if got := proxyChecksum(p, 8); got != want {
		t.Errorf("%#x, want %#x", got, want)
	}
	if got := proxyChecksum(make([]byte, 32), 8); got != 0x8a9136aa {
		t.Errorf("of 32 zeros %#x, want 0x8a9136aa", got)
	}
}
