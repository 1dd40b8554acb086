// Package encrypted is how the connections of a node to services that it shares are encrypted: what its settings say, and files of
// certificates.
//
// A service is believed by its certificate or not at all. A setting that would take any certificate, or none if somebody on the
// way says so, is refused; one that asks for no TLS is the operator's word. Start reading at [Files].
package encrypted

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"openflow"
)

// Files are PEM files for one service. The zero value: those are believed whom this machine believes, and nothing is shown.
type Files struct {
	CA          string // of those who are believed instead
	Certificate string // what is shown
	Key         string // its key
}

// Take reads and removes what the query of a service's URL says of files: ca, cert and cert_key.
func Take(query url.Values) Files {
	f := Files{query.Get("ca"), query.Get("cert"), query.Get("cert_key")}
	for _, name := range []string{"ca", "cert", "cert_key"} {
		query.Del(name)
	}
	return f
}

// Config reads the files. serverName is the host that the service's certificate must name; empty: the host that is called.
// CodeInvalid: a file is none of its kind.
func (f Files) Config(serverName string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName}
	if f.CA != "" {
		text, err := read(f.CA)
		if err != nil {
			return nil, err
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, openflow.Errorf(openflow.CodeInvalid, "%s holds no certificate", f.CA).
				WithHint("it must be a PEM file: -----BEGIN CERTIFICATE-----")
		}
	}
	if (f.Certificate == "") != (f.Key == "") {
		return nil, openflow.Errorf(openflow.CodeInvalid, "a certificate and its key go together")
	}
	if f.Certificate == "" {
		return c, nil
	}
	certificate, err := read(f.Certificate)
	if err != nil {
		return nil, err
	}
	key, err := read(f.Key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "certificate %s with key %s: %w", f.Certificate, f.Key, err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// maxFile bounds a file of certificates, in bytes; those of all authorities of the web have a quarter of that.
const maxFile = 1 << 20

// read reads a file that a setting names, which may be anything.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "certificates: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, openflow.Errorf(openflow.CodeInvalid, "read %s: %w", path, err)
	case len(text) > maxFile:
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s is larger than %s", path, openflow.FormatBytes(maxFile)).
			WithHint("a file of certificates is a few kilobytes: name the right one")
	}
	return text, nil
}

// Postgres decides how a database is called whose URL has this query: by its certificate, where it is on another machine and
// nothing else is said. host is empty for a socket. Modes that encrypt for whoever answers, or for nobody, are refused there.
// CodeInvalid.
func Postgres(host string, query url.Values) error {
	if host == "" || openflow.ThisMachine(host) {
		return nil
	}
	switch mode := postgresMode(query); {
	case mode == "":
		query.Set("sslmode", "verify-full")
	case mode == "allow", mode == "prefer":
		return openflow.Errorf(openflow.CodeInvalid, "sslmode=%s lets whoever is on the way to %s decide that nothing is encrypted", mode, host).
			WithHint("use sslmode=verify-full, with sslrootcert=FILE if the machine does not know the authority; or sslmode=disable, where something else protects the way")
	case mode == "require" && cmp.Or(query.Get("sslrootcert"), os.Getenv("PGSSLROOTCERT")) == "":
		return openflow.Errorf(openflow.CodeInvalid, "sslmode=require without sslrootcert encrypts for whoever answers at %s", host).
			WithHint("use sslmode=verify-full, with sslrootcert=FILE if the machine does not know the authority")
	}
	return nil
}

// postgresMode is what a URL with this query says of encryption, and where it says nothing, what PostgreSQL's clients read.
func postgresMode(query url.Values) string {
	return cmp.Or(query.Get("sslmode"), os.Getenv("PGSSLMODE"))
}

// Plain tells whether a service with that URL is on another machine and called without TLS, which its operator has said by name.
func Plain(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || openflow.ThisMachine(u.Hostname()) {
		return false
	}
	switch strings.ToLower(u.Scheme) {
	case "redis":
		return true
	case "postgres", "postgresql":
		return postgresMode(u.Query()) == "disable"
	case "s3":
		secure, err := strconv.ParseBool(u.Query().Get("tls"))
		return err == nil && !secure
	}
	return slices.Contains([]string{"http", "grpc"}, u.Scheme)
}
