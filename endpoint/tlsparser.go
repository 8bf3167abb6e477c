package endpoint

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
)

// parseTLSClient makes tls: and ssl: clients. The server is verified by host,
// also if the connection goes by another endpoint.
func parseTLSClient(p *Parser, r Reactor, d Description) (Client, error) {
	a := d.Arguments("host", "port")
	host := a.Need("host")
	config := &tls.Config{ServerName: host}
	certificate, key, roots := "certificate", "privateKey", "trustRoots"
	if d.Type == "ssl" {
		certificate, roots = "certKey", "caCertsDir"
	}
	a.loadPair(config, a.Text(certificate, ""), a.Text(key, ""))
	if at := a.Text(roots, ""); at != "" {
		config.RootCAs = a.loadRoots(roots, at)
	}
	var inner Client
	if text, ok := a.Lookup("endpoint"); ok {
		c, err := p.Client(r, text)
		if err != nil {
			a.fail("%w", err)
		}
		inner = c
	} else {
		inner = TCPClient{Reactor: r, Host: host, Port: a.Port("port", true), Options: connectOptions(a, true)}
	}
	a.Port("port", false)
	if err := a.Err(); err != nil {
		return nil, err
	}
	if _, err := WrapClientTLS(config, inner); err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", d, err)
	}
	return tlsClient{config: config, inner: inner, text: d.String()}, nil
}

// parseTLSServer makes tls: and ssl: servers.
func parseTLSServer(_ *Parser, r Reactor, d Description) (Server, error) {
	a := d.Arguments("port", "interface", "backlog")
	host, port := a.Text("interface", ""), a.Port("port", true)
	key := a.Need("privateKey")
	config := &tls.Config{}
	a.loadPair(config, a.Text("certKey", key), key)
	if chain := a.Text("extraCertChain", ""); chain != "" && len(config.Certificates) > 0 {
		for _, c := range a.loadCertificates("extraCertChain", chain) {
			config.Certificates[0].Certificate = append(config.Certificates[0].Certificate, c.Raw)
		}
	}
	s := TCPServer{Reactor: r, Addr: a.listenAddress(host, port), Options: listenOptions(a, true)}
	if err := a.Err(); err != nil {
		return nil, err
	}
	secure, err := WrapServerTLS(config, s)
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", d, err)
	}
	return described{secure, d.String()}, nil
}

// A described is a server with the text that it was parsed from.
type described struct {
	Server
	text string
}

// String returns the description.
func (d described) String() string { return d.text }

// loadPair loads a certificate and its key; without names it does nothing.
func (a *Arguments) loadPair(config *tls.Config, certificate, key string) {
	if certificate == "" && key == "" || a.err != nil {
		return
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		a.fail("certificate %q with key %q: %w", certificate, key, err)
		return
	}
	config.Certificates = []tls.Certificate{pair}
}

// maxRoots is how many files of a directory are read at most.
const maxRoots = 10_000

// loadRoots loads the certificates of a file, or those of the files *.pem of a
// directory.
func (a *Arguments) loadRoots(name, at string) *x509.CertPool {
	files := []string{at}
	if info, err := os.Stat(at); err == nil && info.IsDir() {
		files, _ = filepath.Glob(filepath.Join(at, "*.pem")) // a pattern that is right
	}
	pool := x509.NewCertPool()
	for i, file := range files {
		if i == maxRoots {
			a.fail("%s: more than %d files in %s", name, maxRoots, at)
			break
		}
		for _, c := range a.loadCertificates(name, file) {
			pool.AddCert(c)
		}
	}
	if len(files) == 0 {
		a.fail("%s: no file *.pem in %s", name, at)
	}
	return pool
}

// loadCertificates loads the certificates of a file, at least one.
func (a *Arguments) loadCertificates(name, file string) []*x509.Certificate {
	text, err := os.ReadFile(file)
	if err != nil {
		a.fail("%s: %w", name, err)
		return nil
	}
	var all []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			a.fail("%s: %s: %w", name, file, err)
			return nil
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		a.fail("%s: no certificate in %s, want PEM", name, file)
	}
	return all
}
