package publisher

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	"aead.dev/minisign"

	"openflow"
	"openflow/site/trust"
)

// maxKeyText bounds the text of a key: its comment and 56 letters.
const maxKeyText = 2 << 10

// Key is a publisher's public key. The zero value verifies nothing.
type Key struct {
	id     uint64 // that its maker has drawn; it names the key in signatures, and proves nothing
	public trust.PublicKey
}

// ParseKey reads a key as minisign writes it: the file of two lines, or the line of 56 letters that begins with RW. Keys of
// small order are refused, since signatures exist that are good for them over every text. Errors: CodeInvalid.
func ParseKey(text string) (Key, error) {
	refuse := func(why string) (Key, error) {
		return Key{}, openflow.Errorf(openflow.CodeInvalid, "%q is not a publisher's key: %s", openflow.Cut(strings.TrimSpace(text), 80), why).
			WithHint("copy the line of the publisher's minisign.pub that begins with RW")
	}
	if len(text) > maxKeyText {
		return refuse("it is too long")
	}
	line := strings.TrimRight(text, "\r\n")
	if comment, rest, two := strings.Cut(line, "\n"); two {
		if !strings.HasPrefix(comment, "untrusted comment:") {
			return refuse("its first line is no comment")
		}
		line = rest
	}
	var k minisign.PublicKey
	if err := k.UnmarshalText([]byte(line)); err != nil || k.String() != line { // one key has one text
		return refuse("it is not written as minisign writes keys")
	}
	raw, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		return refuse("it is not base64")
	}
	public, err := trust.ParsePublicKey("ed25519:" + base64.RawURLEncoding.EncodeToString(raw[len(raw)-ed25519.PublicKeySize:]))
	if err != nil {
		return refuse("it is not a key that can prove anything")
	}
	return Key{k.ID(), public}, nil
}

// String is the line that ParseKey reads.
func (k Key) String() string {
	raw := k.public.Bytes()
	if raw == nil {
		return ""
	}
	b := make([]byte, 0, 2+8+ed25519.PublicKeySize)
	b = binary.LittleEndian.AppendUint16(b, minisign.EdDSA)
	b = binary.LittleEndian.AppendUint64(b, k.id)
	return base64.StdEncoding.EncodeToString(append(b, raw...))
}

// ID is what minisign calls the key: 16 hexadecimal digits. It is drawn at random, so it tells keys apart and proves nothing.
func (k Key) ID() string { return idText(k.id) }

func idText(id uint64) string { return fmt.Sprintf("%016X", id) }

// Words are four words to read out on the telephone. Unlike the ID they follow from the key: 64 bits of its hash.
func (k Key) Words() string {
	sum := sha256.Sum256(k.public.Bytes())
	words := make([]string, 0, 4)
	for i := 0; i < 8; i += 2 {
		words = append(words, word(binary.BigEndian.Uint16(sum[i:])))
	}
	return strings.Join(words, "-")
}

// word says 16 bits as consonants and vowels in turn, five letters (the proquints of D. S. Wilkerson).
func word(n uint16) string {
	const consonants, vowels = "bdfghjklmnprstvz", "aiou"
	return string([]byte{
		consonants[n>>12&15], vowels[n>>10&3], consonants[n>>6&15], vowels[n>>4&3], consonants[n&15],
	})
}

// Describe is how people are told of a key.
func (k Key) Describe() string { return k.ID() + " (" + k.Words() + ")" }
