package connector

import (
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a host name (RFC 1035, section 2.3.4).
const (
	maxHost  = 253
	maxLabel = 63
)

// ASCIIHost returns a host name in the form in which it is looked up: labels
// that have other letters than ASCII ones become lower case and are written
// in Punycode (RFC 5891, A-labels; RFC 3492). The name is expected in Unicode's
// composed form (NFC), as keyboards make it; nothing else is mapped. A name that
// cannot be looked up is an error that says why.
func ASCIIHost(host string) (string, error) {
	if !utf8.ValidString(host) {
		return "", fmt.Errorf("host %q: it is not UTF-8", host)
	}
	labels := strings.FieldsFunc(host, isDot)
	if strings.Join(labels, ".") != strings.TrimSuffix(strings.Map(plainDot, host), ".") || len(labels) == 0 {
		return "", fmt.Errorf("host %q: a label between dots is empty", host)
	}
	for i, label := range labels {
		ascii, err := asciiLabel(label)
		if err != nil {
			return "", fmt.Errorf("host %q: label %q %w", host, label, err)
		}
		labels[i] = ascii
	}
	name := strings.Join(labels, ".")
	if len(name) > maxHost {
		return "", fmt.Errorf("host %q: %d bytes, want at most %d", host, len(name), maxHost)
	}
	if r, _ := utf8.DecodeLastRuneInString(host); isDot(r) {
		name += "." // the name is complete: no search list
	}
	return name, nil
}

// isDot knows the dots that separate labels (RFC 3490, section 3.1).
func isDot(r rune) bool { return r == '.' || r == '\u3002' || r == '\uff0e' || r == '\uff61' }

func plainDot(r rune) rune {
	if isDot(r) {
		return '.'
	}
	return r
}

func asciiLabel(label string) (string, error) {
	foreign := false
	for _, r := range label {
		switch {
		case r <= ' ' || r == 0x7f || unicode.IsControl(r) || unicode.IsSpace(r):
			return "", fmt.Errorf("has %q, which no name has", r)
		case r >= utf8.RuneSelf && !unicode.IsPrint(r):
			return "", fmt.Errorf("has %q, which no name has", r)
		case r >= utf8.RuneSelf:
			foreign = true
		}
	}
	if foreign {
		label = "xn--" + punycode([]rune(strings.ToLower(label)))
	}
	if len(label) > maxLabel {
		return "", fmt.Errorf("has %d bytes, want at most %d", len(label), maxLabel)
	}
	return label, nil
}

// The parameters of Punycode (RFC 3492, section 5).
const (
	base        = 36
	tMin, tMax  = 1, 26
	skew        = 38
	damp        = 700
	initialBias = 72
	initialN    = 128
)

// punycode encodes a label (RFC 3492, section 6.3).
func punycode(label []rune) string {
	var out []byte
	for _, r := range label {
		if r < initialN {
			out = append(out, byte(r))
		}
	}
	plain := len(out)
	if plain > 0 {
		out = append(out, '-')
	}
	n, delta, bias := rune(initialN), 0, initialBias
	for done := plain; done < len(label); n++ {
		least := rune(math.MaxInt32)
		for _, r := range label {
			if r >= n && r < least {
				least = r
			}
		}
		delta += int(least-n) * (done + 1)
		n = least
		for _, r := range label {
			if r < n {
				delta++
			}
			if r == n {
				out = appendVariable(out, delta, bias)
				bias = adapt(delta, done+1, done == plain)
				delta = 0
				done++
			}
		}
		delta++
	}
	return string(out)
}

// appendVariable writes delta as a generalised variable-length integer (RFC
// 3492, section 3.3).
func appendVariable(out []byte, delta, bias int) []byte {
	for k := base; ; k += base {
		t := min(max(k-bias, tMin), tMax)
		if delta < t {
			return append(out, digit(delta))
		}
		out = append(out, digit(t+(delta-t)%(base-t)))
		delta = (delta - t) / (base - t)
	}
}

func digit(d int) byte {
	if d < 26 {
		return byte('a' + d)
	}
	return byte('0' + d - 26)
}

// adapt is the bias after a delta (RFC 3492, section 6.1).
func adapt(delta, count int, first bool) int {
	if first {
		delta /= damp
	} else {
		delta /= 2
	}
	delta += delta / count
	k := 0
	for ; delta > (base-tMin)*tMax/2; k += base {
		delta /= base - tMin
	}
	return k + (base-tMin+1)*delta/(delta+skew)
}
