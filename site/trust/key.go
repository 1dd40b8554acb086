package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"filippo.io/edwards25519"

	"openflow"
)

const (
	keyFile       = "node.key"
	publicPrefix  = "ed25519:"
	privatePrefix = "ed25519-private:"
)

// PublicKey is a node's public key. The zero value verifies nothing. One that verifies is sound, because it comes from
// [ParsePublicKey] or from the node itself; what [Shown] tells is only compared with such keys.
type PublicKey struct{ raw string } // a string, so that keys are comparable

// ParsePublicKey reads the text form, such as "ed25519:9Bw…" with 43 letters of base64url. A key of small order is refused,
// since signatures exist that are good for it over every text. So is one that is written in another way than RFC 8032 has it: one
// key would have two names. CodeInvalid.
func ParsePublicKey(s string) (PublicKey, error) {
	text, ok := strings.CutPrefix(s, publicPrefix)
	b, err := decodeExact(text, ed25519.PublicKeySize)
	if !ok || err != nil {
		return PublicKey{}, openflow.Errorf(openflow.CodeInvalid, "%q is not a public key", s).
			WithHint(`copy the whole text that the other site's "openflow site key" prints: %s and 43 letters`, publicPrefix)
	}
	if !sound(b) {
		return PublicKey{}, openflow.Errorf(openflow.CodeInvalid, "%q is not a key that can prove anything", s).
			WithHint("no node makes such a key: whoever has sent it wants that others can sign for them")
	}
	return PublicKey{string(b)}, nil
}

// sound reports whether b is a point of the curve, written as RFC 8032, section 5.1.2 has it, that is not of small order.
func sound(b []byte) bool {
	p, err := new(edwards25519.Point).SetBytes(b) // also takes what is not canonical
	if err != nil || !bytes.Equal(p.Bytes(), b) {
		return false
	}
	return new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 0
}

// String is the text form, which ParsePublicKey reads.
func (k PublicKey) String() string { return publicPrefix + strictBase64.EncodeToString([]byte(k.raw)) }

// ID is a short name for the key: 16 hex digits of its SHA-256. It tells keys of one party apart and proves nothing.
func (k PublicKey) ID() string {
	sum := sha256.Sum256([]byte(k.raw))
	return hex.EncodeToString(sum[:8])
}

// Named is the key in both of its forms, as messages tell it: the text that openflow site key prints, and its short name.
func (k PublicKey) Named() string { return k.String() + " [" + k.ID() + "]" }

// named is Named of several.
func named(keys []PublicKey) string {
	texts := make([]string, len(keys))
	for i, k := range keys {
		texts[i] = k.Named()
	}
	return strings.Join(texts, ", ")
}

// Bytes are the 32 bytes of the key, none for the zero value.
func (k PublicKey) Bytes() []byte {
	if k.raw == "" {
		return nil
	}
	return []byte(k.raw)
}

// Verifies reports whether a signature is of that message, by this key. What is refused for nodes is refused here too: points
// of small order, and other forms than those of RFC 8032.
func (k PublicKey) Verifies(message, signature []byte) bool { return k.verify(message, signature) }

// verify checks a signature. Its first half is a point, to which the same applies as to keys, which were looked at when they were
// read. That its second half is below the order of the group, ed25519.Verify checks.
func (k PublicKey) verify(message, signature []byte) bool {
	return len(k.raw) == ed25519.PublicKeySize && len(signature) == ed25519.SignatureSize &&
		sound(signature[:ed25519.SignatureSize/2]) && ed25519.Verify(ed25519.PublicKey(k.raw), message, signature)
}

// Key is a node's private key. Printing it shows the public half only.
type Key struct{ private ed25519.PrivateKey }

// LoadOrCreateKey returns the key in dir, making it at the first start. dir becomes a folder of mode 0700 with a file of
// mode 0600; CodePermission if either is open to others. A file that holds no key is CodeInternal and is left alone:
// peers know the old key.
func LoadOrCreateKey(dir string) (Key, error) {
	text, err := loadOrCreate(dir, keyFile, func() string {
		seed := make([]byte, ed25519.SeedSize)
		_, _ = rand.Read(seed) // never fails: it stops the program instead
		return privatePrefix + strictBase64.EncodeToString(seed)
	})
	if err != nil {
		return Key{}, err
	}
	encoded, ok := strings.CutPrefix(text, privatePrefix)
	seed, err := decodeExact(encoded, ed25519.SeedSize)
	if !ok || err != nil {
		return Key{}, openflow.Errorf(openflow.CodeInternal, "%s/%s does not hold a node key", dir, keyFile).
			WithHint("restore it from a backup; or remove it, restart, and give the new public key to every peer")
	}
	return Key{ed25519.NewKeyFromSeed(seed)}, nil
}

// Public returns the half that peers get.
func (k Key) Public() PublicKey {
	if len(k.private) != ed25519.PrivateKeySize {
		return PublicKey{}
	}
	return PublicKey{string(k.private[ed25519.SeedSize:])}
}

// String shows the public half, so that a key in a log is no leak.
func (k Key) String() string { return k.Public().String() }

// GoString is String, for %#v.
func (k Key) GoString() string { return k.String() }
