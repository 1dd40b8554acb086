package publisher

import (
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"aead.dev/minisign"
	"golang.org/x/crypto/blake2b"

	"openflow"
)

// MaxSignature bounds the text of a signature: minisign's own bounds of its comments are 1 and 8 KiB.
const MaxSignature = 10 << 10

// maxWhole is the largest message of which Measure keeps all, for signatures of minisign's legacy form. That form signs the
// message and not its hash, so whoever verifies needs all of it again.
const maxWhole = 64 << 10

// maxComment is how many bytes of a trusted comment people are shown.
const maxComment = 200

// Message is what a signature is about: a file, or a text. It is small whatever it was taken of.
type Message struct {
	hash  [blake2b.Size]byte // BLAKE2b-512
	whole []byte             // the message itself if it is short
	short bool
}

// Measure takes a message of a file, which it reads to its end.
func Measure(r io.Reader) (Message, error) {
	h, err := blake2b.New512(nil)
	if err != nil {
		return Message{}, openflow.Errorf(openflow.CodeInternal, "BLAKE2b: %w", err)
	}
	var m Message
	if m.whole, err = io.ReadAll(io.TeeReader(io.LimitReader(r, maxWhole+1), h)); err != nil {
		return Message{}, err
	}
	if m.short = len(m.whole) <= maxWhole; !m.short {
		m.whole = nil
		if _, err := io.Copy(h, r); err != nil {
			return Message{}, err
		}
	}
	h.Sum(m.hash[:0])
	return m, nil
}

// Text is the message of a text, such as ImageText.
func Text(text string) Message {
	m := Message{hash: blake2b.Sum512([]byte(text))}
	if m.short = len(text) <= maxWhole; m.short {
		m.whole = []byte(text)
	}
	return m
}

// ImageText is what is signed of an image that is in a daemon: its ID, which is the digest of its configuration, and a line
// feed. That is what `docker image inspect --format '{{.Id}}' IMAGE` prints. The configuration names the layers by digest, so
// another byte anywhere in the image is another text. Errors: CodeInvalid.
//
// Spec: algorithm-image-signature §2.
func ImageText(id string) (string, error) {
	digest, ok := strings.CutPrefix(id, "sha256:")
	if raw, err := hex.DecodeString(digest); !ok || err != nil || len(raw) != 32 || digest != strings.ToLower(digest) {
		return "", openflow.Errorf(openflow.CodeInvalid, "%q is not the ID of an image", openflow.Cut(id, 80)).
			WithHint("it is sha256: and 64 hexadecimal digits: docker image inspect --format '{{.Id}}' IMAGE")
	}
	return id + "\n", nil
}

// Hash is the message's BLAKE2b-512 in hexadecimal digits: with it a signature is verified again after the file has gone.
func (m Message) Hash() string { return hex.EncodeToString(m.hash[:]) }

// Hashed is the message of which only the hash was kept. Errors: CodeInvalid.
func Hashed(text string) (Message, error) {
	var m Message
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(m.hash) {
		return m, openflow.Errorf(openflow.CodeInvalid, "%q is not a hash of a signed file", openflow.Cut(text, 80))
	}
	copy(m.hash[:], raw)
	return m, nil
}

// Signature is a signature that has been read, and of which nothing is proven.
type Signature struct{ s minisign.Signature }

// ParseSignature reads what minisign writes: four lines. A signature has one text, but for line ends and the last of them.
// Errors: CodeInvalid.
func ParseSignature(text string) (Signature, error) {
	refuse := func(why string) (Signature, error) {
		return Signature{}, openflow.Errorf(openflow.CodeInvalid, "this is not a signature of minisign: %s", why).
			WithHint("give the whole file that ends in .minisig, as the publisher has sent it")
	}
	if len(text) > MaxSignature {
		return refuse("it is too long")
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return refuse("it is not text")
	}
	var sig Signature
	plain := strings.ReplaceAll(text, "\r\n", "\n")
	if err := sig.s.UnmarshalText([]byte(plain)); err != nil {
		return refuse(strings.TrimPrefix(err.Error(), "minisign: "))
	}
	if strings.TrimSuffix(sig.s.String(), "\n") != strings.TrimSuffix(plain, "\n") {
		return refuse("it is not written as minisign writes signatures")
	}
	return sig, nil
}

// KeyID is what the signature says of its key: 16 hexadecimal digits that prove nothing.
func (s Signature) KeyID() string { return idText(s.s.KeyID) }

// Proof is who has signed a message.
type Proof struct {
	Key     Key
	Comment string // the trusted comment, which is signed too, fit to be shown
}

// Verify says which of the keys has signed the message. Keys of one ID are all tried, since an ID is drawn at random. Errors:
// CodePermission: none of them has.
func Verify(m Message, s Signature, keys []Key) (Proof, error) {
	refuse := func(format string, args ...any) (Proof, error) {
		return Proof{}, openflow.Errorf(openflow.CodePermission, format, args...)
	}
	signed := m.hash[:]
	if s.s.Algorithm == minisign.EdDSA {
		if !m.short {
			return refuse("the signature with key %s is of minisign's legacy form, which is taken of texts of up to %d KiB", s.KeyID(), maxWhole>>10)
		}
		signed = m.whole
	}
	global := append(slices.Clone(s.s.Signature[:]), s.s.TrustedComment...)
	known := false
	for _, k := range keys {
		if k.id != s.s.KeyID {
			continue
		}
		known = true
		if k.public.Verifies(signed, s.s.Signature[:]) && k.public.Verifies(global, s.s.CommentSignature[:]) {
			return Proof{k, openflow.Line(openflow.Cut(s.s.TrustedComment, maxComment))}, nil
		}
	}
	if !known {
		return refuse("the signature names key %s, which is none of the publisher's", s.KeyID())
	}
	return refuse("the signature with key %s is not of this content: another byte was signed, or the signature was changed", s.KeyID())
}
