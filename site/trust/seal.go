package trust

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"

	"openflow"
)

// Seal keeps secrets that a node has in common with others in places that other programs read, such as a database. Each is
// encrypted with AES-256-GCM, and can be opened only as what it was sealed for.
type Seal struct{ box cipher.AEAD }

// Seal is the same at all replicas of a node, which share the secret, and another at every other node. CodeInternal: these are no
// node's credentials.
func (c Credentials) Seal() (Seal, error) {
	if len(c.secret) != secretBytes {
		return Seal{}, openflow.Errorf(openflow.CodeInternal, "the seal of apps has no secret")
	}
	block, err := aes.NewCipher(c.keyed("openflow-apps-v1"))
	if err != nil {
		return Seal{}, openflow.Errorf(openflow.CodeInternal, "the seal of apps: %w", err)
	}
	box, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return Seal{}, openflow.Errorf(openflow.CodeInternal, "the seal of apps: %w", err)
	}
	return Seal{box}, nil
}

// Close seals a secret for what it is for.
func (s Seal) Close(secret, purpose string) string {
	return strictBase64.EncodeToString(s.box.Seal(nil, nil, []byte(secret), []byte(purpose)))
}

// Open returns a secret that was sealed for that purpose. CodeInternal: it was not, or under another secret.
func (s Seal) Open(sealed, purpose string) (string, error) {
	b, err := strictBase64.DecodeString(sealed)
	if err == nil {
		b, err = s.box.Open(nil, nil, b, []byte(purpose))
	}
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInternal, "the token of %s cannot be opened: %w", purpose, err).
			WithHint("the file %s is another one than when it was made: bring that back from a backup, or make the app anew", secretFile)
	}
	return string(b), nil
}

// tokenLetters are those of tokens that FATE's programs take.
const tokenLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// appTokenLetters is how many an app's token has: 190 bits.
const appTokenLetters = 32

// NewAppToken makes a token.
func NewAppToken() string { return randomLetters(tokenLetters, appTokenLetters) }

// appDigits is how many digits the ID of an app has, as FATE-Flow makes it.
//
// Spec: fate-flow-api §0.6.3.
const appDigits = 8

// NewAppID makes an ID, which is no secret.
func NewAppID() openflow.AppID { return openflow.AppID(randomLetters("0123456789", appDigits)) }

// randomLetters takes n of the letters, each as likely as the others: bytes that would favour the first ones are passed over.
func randomLetters(letters string, n int) string {
	out := make([]byte, 0, n)
	most := 256 - 256%len(letters)
	for b := make([]byte, 2*n); ; {
		_, _ = rand.Read(b) // never fails: it stops the program instead
		for _, c := range b {
			if int(c) >= most {
				continue
			}
			if out = append(out, letters[int(c)%len(letters)]); len(out) == n {
				return string(out)
			}
		}
	}
}
