package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"io/fs"
	"os"
	"time"

	"mobius"
)

// handshakeTimeout is how long a client may take for its TLS handshake.
const handshakeTimeout = 10 * time.Second

// A certificateFlags says what tls:// listeners show and want to see.
type certificateFlags struct {
	cert, key, clientCA string
}

func (f *certificateFlags) register(set *flag.FlagSet) {
	set.StringVar(&f.cert, "cert", "",
		"PEM `FILE` with the certificate of tls:// listeners, its own first, then\nthe chain")
	set.StringVar(&f.key, "key", "", "PEM `FILE` with its key (default: the --cert file)")
	set.StringVar(&f.clientCA, "client-ca", "",
		"PEM `FILE`: clients of tls:// listeners "+
			"must show a certificate that\none of these authorities has signed (default: they need none)")
}

// config returns what tls:// listeners are to use, nil if there are none.
func (f *certificateFlags) config(listeners []endpoint) (*tls.Config, error) {
	on := firstOver(listeners, "tls")
	if on == nil {
		return nil, unused("--listen", map[string]string{"cert": f.cert, "key": f.key, "client-ca": f.clientCA})
	}
	if f.cert == "" {
		return nil, usagef("--listen %q needs a certificate: give --cert FILE and --key FILE, both PEM", on.text)
	}
	if f.key == "" {
		f.key = f.cert
	}
	cert, err := readPEM("cert", f.cert)
	if err != nil {
		return nil, err
	}
	key, err := readPEM("key", f.key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, usagef("--cert %q and --key %q: %w", f.cert, f.key, err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	if f.clientCA != "" {
		config.ClientAuth = tls.RequireAndVerifyClientCert
		config.ClientCAs, err = readAuthorities("client-ca", f.clientCA)
	}
	return config, err
}

// tlsOptions are those of listeners.
func tlsOptions() *mobius.TLSOptions { return &mobius.TLSOptions{HandshakeTimeout: handshakeTimeout} }

// An upstreamFlags says how tls:// upstreams are verified.
type upstreamFlags struct {
	ca, serverName string
}

func (f *upstreamFlags) register(set *flag.FlagSet) {
	set.StringVar(&f.ca, "ca", "",
		"PEM `FILE` with the authorities that tls:// upstreams are verified by\n(default: those of the system)")
	set.StringVar(&f.serverName, "servername", "",
		"`NAME` that a tls:// upstream is asked for and must have a certificate for\n(default: the host of its --to)")
}

// configs returns what each upstream is to be spoken to with, nil for those
// that are not tls://.
func (f *upstreamFlags) configs(upstreams []endpoint) ([]*tls.Config, error) {
	if firstOver(upstreams, "tls") == nil {
		return make([]*tls.Config, len(upstreams)), unused("--to", map[string]string{"ca": f.ca, "servername": f.serverName})
	}
	var roots *x509.CertPool
	var err error
	if f.ca != "" {
		if roots, err = readAuthorities("ca", f.ca); err != nil {
			return nil, err
		}
	}
	var configs []*tls.Config
	for _, u := range upstreams {
		var config *tls.Config
		if u.scheme == "tls" {
			config = &tls.Config{RootCAs: roots, ServerName: u.host, ClientSessionCache: tls.NewLRUClientSessionCache(0)}
			if f.serverName != "" {
				config.ServerName = f.serverName
			}
		}
		configs = append(configs, config)
	}
	return configs, nil
}

// unused refuses flags that nothing would come of.
func unused(where string, flags map[string]string) error {
	for _, name := range []string{"cert", "key", "client-ca", "ca", "servername"} {
		if flags[name] != "" {
			return usagef("--%s %q is of no use: no %s is tls://", name, flags[name], where)
		}
	}
	return nil
}

func readAuthorities(name, file string) (*x509.CertPool, error) {
	text, err := readPEM(name, file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, usagef("--%s %q: there is no certificate in it, want PEM", name, file)
	}
	return pool, nil
}

func readPEM(name, file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	var why *fs.PathError
	if errors.As(err, &why) {
		err = why.Err // the name stands before it already
	}
	if err != nil {
		return nil, usagef("--%s %q: %w", name, file, err)
	}
	return text, nil
}

// firstOver returns the first endpoint of a scheme, nil if there is none.
func firstOver(endpoints []endpoint, scheme string) *endpoint {
	for i := range endpoints {
		if endpoints[i].scheme == scheme {
			return &endpoints[i]
		}
	}
	return nil
}
