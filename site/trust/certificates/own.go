package certificates

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"openflow"
	"openflow/site/trust"
)

// A certificate holds for about a year, which is the most that browsers take, and is renewed in time for those who keep a copy.
const (
	holds   = 397 * 24 * time.Hour
	renewal = 60 * 24 * time.Hour
	// early is how far back a certificate begins: the clocks of those who read it may be slow.
	early = 24 * time.Hour
)

// KeyFile is the key of the certificate that a node makes for its users, in the folder of its secrets.
const KeyFile = "users.key"

// Own is a certificate of a node's own making, for users: with a key of ECDSA, since browsers take no Ed25519. The key stays, and
// a renewed certificate has the same one. So who knows the key needs nothing when a certificate ends.
type Own struct {
	key   *ecdsa.PrivateKey
	names []string
	now   func() time.Time

	mu   sync.Mutex
	have *tls.Certificate
	copy published
	err  error // none could be made
}

// OpenOwn reads the key in the folder of secrets and the certificate in that file, and makes what is missing. A certificate for
// other names, and one that ends soon, is made anew. Errors: CodePermission (others may read the key or write the certificate),
// CodeInternal (the key is none; files).
func OpenOwn(secrets, file string, names []string, now func() time.Time) (*Own, error) {
	key, err := loadKey(secrets)
	if err != nil {
		return nil, err
	}
	o := &Own{key: key, copy: published{file: file}, names: canonical(names), now: now}
	text, err := trust.ReadOwned(file, publicMask)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	o.have = o.read(text)
	if o.copy.shown = o.have; o.Show() == nil {
		return nil, o.err
	}
	return o, nil // a certificate that cannot be written is shown all the same
}

// canonical is every name once, each in one way, sorted.
func canonical(names []string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = strings.ToLower(name)
		if ip := net.ParseIP(name); ip != nil {
			list[i] = ip.String()
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func loadKey(secrets string) (*ecdsa.PrivateKey, error) {
	text, err := trust.LoadOrCreateSecret(secrets, KeyFile, func() string {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return "" // found below to be no key
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return ""
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	})
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode([]byte(text)); block != nil {
		any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if key, ok := any.(*ecdsa.PrivateKey); err == nil && ok && key.Curve == elliptic.P256() {
			return key, nil
		}
	}
	return nil, openflow.Errorf(openflow.CodeInternal, "%s/%s does not hold a key", secrets, KeyFile).
		WithHint("remove it and restart; users who have copied the certificate must copy the new one")
}

// read is the certificate in a text, if it is one of the key. Its names and dates are looked at when it is shown.
func (o *Own) read(text []byte) *tls.Certificate {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !o.key.PublicKey.Equal(c.PublicKey) {
		return nil
	}
	return &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: o.key, Leaf: c}
}

// good is whether a certificate will still do for a while.
func (o *Own) good(c *tls.Certificate) bool {
	if c == nil {
		return false
	}
	now, names := o.now(), append([]string{}, c.Leaf.DNSNames...)
	for _, ip := range c.Leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return slices.Equal(canonical(names), o.names) && now.After(c.Leaf.NotBefore) && now.Add(renewal).Before(c.Leaf.NotAfter)
}

// Show implements trust.Showing. It renews the certificate when that is due. Where the new one cannot be written, it is shown all
// the same.
func (o *Own) Show() *tls.Certificate {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.good(o.have) {
		made, err := o.make()
		if o.err = err; err == nil {
			o.have = made
		}
	}
	if o.have != nil {
		o.copy.put(o.have, o.now())
	}
	return o.have
}

// State is what is shown now. err says why the file does not hold that.
func (o *Own) State() (shown *x509.Certificate, err error) {
	c := o.Show()
	o.mu.Lock()
	defer o.mu.Unlock()
	return c.Leaf, cmp.Or(o.err, o.copy.err)
}

// make signs a certificate. It is no authority: who trusts it trusts this listener, and nothing that its key might sign.
func (o *Own) make() (*tls.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "certificate for users: %w", err)
	}
	now := o.now()
	form := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{Organization: []string{"openflow"}, CommonName: "openflow node"},
		NotBefore: now.Add(-early), NotAfter: now.Add(holds - early), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, name := range o.names {
		if ip := net.ParseIP(name); ip != nil {
			form.IPAddresses = append(form.IPAddresses, ip)
			continue
		}
		form.DNSNames = append(form.DNSNames, name)
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, o.key.Public(), o.key)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "certificate for users, with the names %s: %w", strings.Join(o.names, ", "), err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "certificate for users: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: o.key, Leaf: leaf}, nil
}
