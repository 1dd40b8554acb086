package certificates

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"openflow"
	"openflow/site/trust"
)

// Who else may do what with an operator's files: nobody writes them, and the key is read by its group at most, as Debian's
// ssl-cert is.
const (
	publicMask fs.FileMode = 0o022
	keyMask    fs.FileMode = 0o027
)

// watched is what some files hold, read again when one of them has changed.
type watched[T any] struct {
	paths []string
	read  func() (T, error)

	mu   sync.Mutex
	seen string
	have T
	err  error // of the last reading
}

// look reads the files if they have changed since. Where that fails, what they held before stays.
func (w *watched[T]) look() (T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := stamp(w.paths)
	if now == w.seen {
		return w.have, w.err
	}
	w.seen = now // taken before the files are read: what changes meanwhile is seen at the next look
	have, err := w.read()
	if w.err = err; err == nil {
		w.have = have
	}
	return w.have, w.err
}

// stamp is another text when one of the files has been written or replaced.
func stamp(paths []string) string {
	var b bytes.Buffer
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			fmt.Fprintf(&b, "%v;", err)
			continue
		}
		var inode uint64
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			inode = s.Ino
		}
		fmt.Fprintf(&b, "%d %d %d;", info.ModTime().UnixNano(), info.Size(), inode)
	}
	return b.String()
}

// Files are a certificate and its key that an operator has put there, both in PEM.
type Files struct {
	pair watched[*tls.Certificate]

	mu   sync.Mutex
	copy published // without a file: none is wanted
}

// Open reads the files once. copyTo is a file for what is shown, by which programs on this machine know the listener; empty: none.
// Errors: CodeInvalid (no certificate, or another one's key), CodePermission (a file that others may change, a key that everybody
// may read).
func Open(certificate, key, copyTo string) (*Files, error) {
	f := &Files{copy: published{file: copyTo}, pair: watched[*tls.Certificate]{paths: []string{certificate, key}}}
	f.pair.read = func() (*tls.Certificate, error) { return readPair(certificate, key) }
	if _, err := f.pair.look(); err != nil {
		return nil, err
	}
	f.Show()
	return f, nil
}

// Show implements trust.Showing.
func (f *Files) Show() *tls.Certificate {
	c, _ := f.pair.look() // the doctor tells
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.copy.file != "" {
		f.copy.put(c, time.Now())
	}
	return c
}

// State is what is shown now. err says why that is not what the files hold.
func (f *Files) State() (shown *x509.Certificate, err error) {
	c, err := f.Show(), f.failure()
	if _, read := f.pair.look(); read != nil {
		err = read
	}
	return c.Leaf, err
}

func (f *Files) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.copy.err
}

func readPair(certificate, key string) (*tls.Certificate, error) {
	public, err := readFile(certificate, publicMask)
	if err != nil {
		return nil, err
	}
	private, err := readFile(key, keyMask)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(public, private)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "certificate %s with key %s: %w", certificate, key, err).
			WithHint("both are in PEM, and belong to each other")
	}
	return &pair, nil
}

// readFile reads a file that an operator has named.
func readFile(path string, others fs.FileMode) ([]byte, error) {
	text, err := trust.ReadOwned(path, others)
	if err != nil && openflow.CodeOf(err) != openflow.CodePermission {
		return nil, openflow.Errorf(openflow.CodeInvalid, "certificates: %w", err)
	}
	return text, err
}

// Roots are the authorities whose certificates an operator believes, in a PEM file.
type Roots struct{ pool watched[believed] }

type believed struct {
	pool *x509.CertPool
	ends time.Time // of the first of them
}

// OpenRoots reads the file once. Errors: CodeInvalid, CodePermission (others may change it).
func OpenRoots(path string) (*Roots, error) {
	r := &Roots{pool: watched[believed]{paths: []string{path}}}
	r.pool.read = func() (believed, error) { return readRoots(path) }
	_, err := r.pool.look()
	return r, err
}

// Pool implements trust.Authorities.
func (r *Roots) Pool() *x509.CertPool {
	b, _ := r.pool.look() // the doctor tells
	return b.pool
}

// State is when the first of the authorities ends. err says why they are not those of the file.
func (r *Roots) State() (ends time.Time, err error) {
	b, err := r.pool.look()
	return b.ends, err
}

func readRoots(path string) (believed, error) {
	text, err := readFile(path, publicMask)
	if err != nil {
		return believed{}, err
	}
	b := believed{pool: x509.NewCertPool()}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return believed{}, openflow.Errorf(openflow.CodeInvalid, "%s holds something that is no certificate: %w", path, err)
		}
		b.pool.AddCert(c)
		if b.ends.IsZero() || c.NotAfter.Before(b.ends) {
			b.ends = c.NotAfter
		}
	}
	if b.ends.IsZero() {
		return believed{}, openflow.Errorf(openflow.CodeInvalid, "%s holds no certificate in PEM", path)
	}
	return b, nil
}
