package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"

	"openflow"
)

// The headers of a signed message, besides HeaderParty and HeaderTo: RFC 9421, sections 4.1 and 4.2, and RFC 9530.
const (
	HeaderInput     = "Signature-Input" // what is covered, and the parameters of the signature
	HeaderSignature = "Signature"
	HeaderDigest    = "Content-Digest"
)

// label is the name of our signature among those that a message may carry.
const label = "openflow"

// component is one part of a message that a signature covers: RFC 9421, section 2.
type component struct {
	item  httpsfv.Item // its identifier
	value string
}

func covered(name, value string) component { return component{httpsfv.NewItem(name), value} }

// ofRequest turns a component of a request into one of its answer: RFC 9421, section 2.4.
func (c component) ofRequest() component {
	c.item.Params.Add("req", true)
	return c
}

// member is the component of one member of a dictionary: RFC 9421, section 2.1.2.
func member(name, key, value string) component {
	c := covered(name, value)
	c.item.Params.Add("key", key)
	return c
}

// field is the component of a header, its values as RFC 9421, section 2.1 joins them.
func field(h http.Header, name string) component {
	values := slices.Clone(h.Values(name))
	for i, v := range values {
		values[i] = strings.TrimSpace(v)
	}
	return covered(strings.ToLower(name), strings.Join(values, ", "))
}

// base is the text that is signed: RFC 9421, section 2.5.
func base(list []component, params *httpsfv.Params) ([]byte, error) {
	var b bytes.Buffer
	for _, c := range list {
		id, err := httpsfv.Marshal(c.item)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s: %s\n", id, c.value)
	}
	text, err := httpsfv.Marshal(inner(list, params))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "\"@signature-params\": %s", text)
	return b.Bytes(), nil
}

func inner(list []component, params *httpsfv.Params) httpsfv.InnerList {
	l := httpsfv.InnerList{Params: params}
	for _, c := range list {
		l.Items = append(l.Items, c.item)
	}
	return l
}

// sign adds to h a signature over the components. What cannot be written is not signed, and so is refused everywhere.
func (k Key) sign(h http.Header, list []component, params *httpsfv.Params) {
	h.Del(HeaderInput)
	h.Del(HeaderSignature)
	params.Add("keyid", k.Public().ID())
	params.Add("alg", "ed25519")
	text, err := base(list, params)
	if err != nil {
		return
	}
	input, signature := httpsfv.NewDictionary(), httpsfv.NewDictionary()
	input.Add(label, inner(list, params))
	signature.Add(label, httpsfv.NewItem(ed25519.Sign(k.private, text)))
	what, err := httpsfv.Marshal(input)
	if err != nil {
		return
	}
	by, err := httpsfv.Marshal(signature)
	if err != nil {
		return
	}
	h.Set(HeaderInput, what)
	h.Set(HeaderSignature, by)
}

// signature is what a message says of its signature, before any of it is proven.
type signature struct {
	list             httpsfv.InnerList
	created, expires time.Time // zero: not said
	key, nonce, tag  string
	text             string // as the header has it
	raw              []byte
}

var (
	errUnsigned = errors.New("not signed")
	errBroken   = errors.New("not a signature as RFC 9421 has it")
)

// readSignature reads ours among the signatures of a message.
func readSignature(h http.Header) (signature, error) {
	var s signature
	if len(h.Values(HeaderInput)) == 0 || len(h.Values(HeaderSignature)) == 0 {
		return s, errUnsigned
	}
	what, err := httpsfv.UnmarshalDictionary(h.Values(HeaderInput))
	if err != nil {
		return s, errBroken
	}
	if s.list, err = memberOf[httpsfv.InnerList](what); err != nil || s.list.Params == nil {
		return s, errors.Join(err, errBroken)
	}
	if s.text, s.raw, err = signatureOf(h); err != nil {
		return s, err
	}
	var alg string
	for name, into := range map[string]any{"created": &s.created, "expires": &s.expires, "keyid": &s.key, "nonce": &s.nonce, "tag": &s.tag, "alg": &alg} {
		if value, given := s.list.Params.Get(name); given && !assign(into, value) {
			return s, errBroken
		}
	}
	if alg != "ed25519" || len(s.raw) != ed25519.SignatureSize {
		return s, errBroken
	}
	return s, nil
}

// signatureOf is our signature, and its text.
func signatureOf(h http.Header) (text string, raw []byte, err error) {
	by, err := httpsfv.UnmarshalDictionary(h.Values(HeaderSignature))
	if err != nil {
		return "", nil, errBroken
	}
	item, err := memberOf[httpsfv.Item](by)
	if err != nil {
		return "", nil, err
	}
	raw, bytes := item.Value.([]byte)
	text, err = httpsfv.Marshal(item)
	if err != nil || !bytes {
		return "", nil, errBroken
	}
	return text, raw, nil
}

func memberOf[T any](d *httpsfv.Dictionary) (T, error) {
	m, given := d.Get(label)
	if !given {
		var none T
		return none, errUnsigned
	}
	found, ok := m.(T)
	if !ok {
		return found, errBroken
	}
	return found, nil
}

// maxSeconds keeps times within what time.Time formats: the year 9999.
const maxSeconds = 253402300799

// assign sets a parameter and reports whether it is of the right kind.
func assign(into, value any) bool {
	switch into := into.(type) {
	case *string:
		text, ok := value.(string)
		*into = text
		return ok
	case *time.Time:
		seconds, ok := value.(int64)
		*into = time.Unix(seconds, 0)
		return ok && seconds >= 0 && seconds <= maxSeconds
	}
	return false
}

// covers reports whether the signature covers these components, in this order, and nothing else.
func (s signature) covers(list []component) bool {
	has, err := httpsfv.Marshal(s.list)
	want, wrong := httpsfv.Marshal(inner(list, s.list.Params))
	return err == nil && wrong == nil && has == want
}

// byOne reports whether one of the keys has made the signature over these components.
func (s signature) byOne(keys []PublicKey, list []component) bool {
	text, err := base(list, s.list.Params)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(keys, func(k PublicKey) bool { return k.ID() == s.key && k.verify(text, s.raw) })
}

// digest is the header Content-Digest of a body: RFC 9530, section 2.
func digest(body []byte) string {
	sum := sha256.Sum256(body)
	d := httpsfv.NewDictionary()
	d.Add("sha-256", httpsfv.NewItem(sum[:]))
	text, _ := httpsfv.Marshal(d) // bytes can always be written
	return text
}

// saidDigest is the SHA-256 that the header says of the body; false: it says none.
func saidDigest(h http.Header) (sum []byte, said bool) {
	d, err := httpsfv.UnmarshalDictionary(h.Values(HeaderDigest))
	if err != nil {
		return nil, false
	}
	m, _ := d.Get("sha-256")
	item, _ := m.(httpsfv.Item)
	sum, said = item.Value.([]byte)
	return sum, said && len(sum) == sha256.Size
}

// hasDigest reports whether the header says so of this body.
func hasDigest(h http.Header, body []byte) bool {
	said, given := saidDigest(h)
	sum := sha256.Sum256(body)
	return given && bytes.Equal(said, sum[:])
}

func unauthorized(format string, args ...any) *openflow.Error {
	return openflow.Errorf(openflow.CodeUnauthorized, format, args...)
}
