package tls

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
)

// A Side is the part that one end takes in the handshake. It need not be that
// of the connection: who accepted it may be the TLS client.
type Side uint8

// The sides.
const (
	Server Side = iota // waits for the peer's hello, and proves who it is
	Client             // speaks first, and verifies the peer
)

// String returns the side in lower case.
func (s Side) String() string {
	if s == Client {
		return "client"
	}
	return "server"
}

// Check returns what is wrong with a config for one side, so that listening
// and connecting fail at once and not at the first handshake (as Twisted gets
// its context eagerly). nil means that nothing is known to be wrong.
func Check(config *tls.Config, side Side) error {
	if config == nil {
		return fmt.Errorf("tls: no config: want a *tls.Config for a %v", side)
	}
	if low, high := config.MinVersion, config.MaxVersion; high != 0 && low > high {
		return fmt.Errorf("tls: MinVersion %s is above MaxVersion %s: no version is left",
			tls.VersionName(low), tls.VersionName(high))
	}
	if err := checkCiphers(config); err != nil {
		return err
	}
	for i, c := range config.Certificates {
		if len(c.Certificate) == 0 || c.PrivateKey == nil {
			return fmt.Errorf("tls: Certificates[%d] has %d certificates and key %T: want a chain and its key",
				i, len(c.Certificate), c.PrivateKey)
		}
	}
	if side == Client {
		return checkClient(config)
	}
	if len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil &&
		config.EncryptedClientHelloKeys == nil {
		return errors.New("tls: a server's config has no certificate: set Certificates, GetCertificate or GetConfigForClient")
	}
	return nil
}

func checkClient(config *tls.Config) error {
	if config.Renegotiation != tls.RenegotiateNever {
		return errors.New("tls: renegotiation is refused: want Renegotiation to be RenegotiateNever, the default")
	}
	if config.ServerName == "" && !config.InsecureSkipVerify {
		return errors.New("tls: a client's config has no ServerName to verify the peer by (or InsecureSkipVerify)")
	}
	return checkServerName(config.ServerName)
}

// checkServerName refuses names that crypto/tls would send as they are, and
// no server could know: RFC 6066, section 3, wants A-labels.
func checkServerName(name string) error {
	for _, c := range []byte(name) {
		if c >= 0x80 || c <= ' ' {
			return fmt.Errorf("tls: ServerName %q is no ASCII host name: write international names as A-labels (xn--…)", name)
		}
	}
	return nil
}

// checkCiphers refuses a list of which crypto/tls knows nothing. (TLS 1.3 has
// its own suites, which the list does not touch.)
func checkCiphers(config *tls.Config) error {
	if config.CipherSuites == nil || config.MaxVersion == 0 || config.MaxVersion > tls.VersionTLS12 {
		return nil
	}
	known := append(tls.CipherSuites(), tls.InsecureCipherSuites()...)
	if !slices.ContainsFunc(known, func(s *tls.CipherSuite) bool { return slices.Contains(config.CipherSuites, s.ID) }) {
		return fmt.Errorf("tls: none of the %d CipherSuites is known: want IDs of tls.CipherSuites()", len(config.CipherSuites))
	}
	return nil
}
