package publisher

import (
	"crypto"
	"crypto/rand"
	"slices"
	"strings"
	"unicode"

	"aead.dev/minisign"

	"openflow"
)

// Private is a publisher's private key. It has no text of its own, so that printing it is no leak.
type Private struct{ key minisign.PrivateKey }

// GenerateKey makes a key. Its two texts are those of minisign's files, the private one without a password.
func GenerateKey() (k Private, public, private string, err error) {
	_, key, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		return k, "", "", openflow.Errorf(openflow.CodeInternal, "publisher's key: %w", err)
	}
	k = Private{key}
	text, err := key.MarshalText()
	if err != nil {
		return k, "", "", openflow.Errorf(openflow.CodeInternal, "publisher's key: %w", err)
	}
	return k, "untrusted comment: minisign public key " + k.Public().ID() + "\n" + k.Public().String() + "\n", string(text) + "\n", nil
}

// ParsePrivate reads a private key of minisign, with its password if it has one. Errors: CodeInvalid, CodePermission (the
// password).
func ParsePrivate(text []byte, password string) (Private, error) {
	var k Private
	var err error
	if len(text) > maxKeyText {
		return k, openflow.Errorf(openflow.CodeInvalid, "this is not a publisher's private key: it is too long")
	}
	text = []byte(strings.TrimRight(string(text), "\r\n"))
	if minisign.IsEncrypted(text) {
		if k.key, err = minisign.DecryptKey(password, text); err != nil {
			return k, openflow.Errorf(openflow.CodePermission, "the publisher's private key cannot be opened with this password")
		}
	} else if err = k.key.UnmarshalText(text); err != nil {
		return k, openflow.Errorf(openflow.CodeInvalid, "this is not a publisher's private key: %s", strings.TrimPrefix(err.Error(), "minisign: "))
	}
	// What it signs must be good for its public half. One of other halves would sign two texts alike, and give itself away.
	public, err := ParseKey(k.line())
	if err == nil {
		err = k.proves(public)
	}
	if err != nil {
		return Private{}, openflow.Errorf(openflow.CodeInvalid, "this is not a publisher's private key: its halves do not belong together")
	}
	return k, nil
}

func (k Private) proves(public Key) error {
	m := Text("")
	s, err := k.raw(m.hash[:], crypto.BLAKE2b_512)
	if err == nil {
		_, err = Verify(m, Signature{s}, []Key{public})
	}
	return err
}

func (k Private) line() string {
	public, _ := k.key.Public().(minisign.PublicKey) // it is always one
	return public.String()
}

// Public is the half that sites get.
func (k Private) Public() Key {
	public, err := ParseKey(k.line())
	if err != nil {
		return Key{}
	}
	return public
}

// String hides the key.
func (Private) String() string { return "a publisher's private key" }

// GoString hides the key.
func (k Private) GoString() string { return k.String() }

// Sign signs a message in minisign's prehashed form. comment is signed as well, and whoever verifies is shown it. Errors:
// CodeInvalid (the comment is longer than a line of 1,000 bytes).
func (k Private) Sign(m Message, comment string) (string, error) {
	if len(comment) > 1000 || strings.ContainsFunc(comment, unicode.IsControl) {
		return "", openflow.Errorf(openflow.CodeInvalid, "the comment of a signature is one line of up to 1,000 bytes")
	}
	s, err := k.raw(m.hash[:], crypto.BLAKE2b_512)
	if err != nil || comment == "" { // the comment is the time then
		return s.String(), err
	}
	over, err := k.raw(append(slices.Clone(s.Signature[:]), comment...), crypto.Hash(0))
	s.TrustedComment, s.CommentSignature = comment, over.Signature
	return s.String(), err
}

func (k Private) raw(message []byte, hashed crypto.Hash) (minisign.Signature, error) {
	var s minisign.Signature
	text, err := k.key.Sign(rand.Reader, message, hashed)
	if err == nil {
		err = s.UnmarshalText(text)
	}
	if err != nil {
		return s, openflow.Errorf(openflow.CodeInternal, "signature: %w", err)
	}
	return s, nil
}
