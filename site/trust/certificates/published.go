package certificates

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"time"

	"openflow"
)

// published is a file that has the certificate which is shown, and no key. Programs on this machine know the listener by it.
type published struct {
	file  string
	shown *tls.Certificate // that it has, or should have
	tried time.Time
	err   error // why it has not
}

// republish is how soon a file is tried again that could not be written: every handshake comes here.
const republish = time.Minute

// put writes the file if it does not have that certificate.
func (p *published) put(c *tls.Certificate, now time.Time) {
	if c == p.shown && (p.err == nil || now.Sub(p.tried) < republish) {
		return
	}
	p.shown, p.tried, p.err = c, now, publish(p.file, c.Certificate)
}

// publish writes certificates in PEM, whole or not at all, in place of what the file held.
func publish(file string, chain [][]byte) (err error) {
	var text []byte
	for _, der := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*") // 0600
	if err == nil {
		_, werr := f.Write(text)
		err = errors.Join(werr, f.Sync(), f.Close())
		if err == nil {
			err = os.Rename(f.Name(), file)
		}
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "write the certificate %s: %w", file, err)
	}
	return nil
}
