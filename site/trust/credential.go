package trust

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"openflow"
)

const (
	secretFile = "task.secret"
	tokenFile  = "api.token"
	workerFile = "worker.token"
)

// Credentials issues what task containers show to their own node, and checks it. A credential covers one task version at
// this node and needs no storage: it is the run's ID with an HMAC-SHA256 under a secret of the node. It stays valid
// while the secret is; what a task that has ended may still do is for the caller to say.
type Credentials struct{ secret []byte }

// LoadOrCreateCredentials returns the credentials under the secret in dir, making it at the first start. File and folder
// must be closed to others, as for LoadOrCreateKey.
func LoadOrCreateCredentials(dir string) (Credentials, error) {
	text, err := loadOrCreate(dir, secretFile, func() string { return randomText(secretBytes) })
	if err != nil {
		return Credentials{}, err
	}
	secret, err := decodeExact(text, secretBytes)
	if err != nil {
		return Credentials{}, openflow.Errorf(openflow.CodeInternal, "%s/%s does not hold a secret", dir, secretFile).
			WithHint("remove it and restart; running tasks must then be started again")
	}
	return Credentials{secret}, nil
}

// Issue makes the credential of a task version: "<run ID>.<hmac>".
func (c Credentials) Issue(k openflow.TaskKey) string {
	id := string(k.RunID())
	return id + "." + strictBase64.EncodeToString(c.mac(id))
}

// Check returns the run that a credential is for. CodeUnauthorized: it is none of this node's.
func (c Credentials) Check(credential string) (openflow.RunID, error) {
	dot := strings.LastIndexByte(credential, '.') // a run's ID may contain dots, an HMAC does not
	if dot > 0 && len(c.secret) == secretBytes {
		id := credential[:dot]
		mac, err := decodeExact(credential[dot+1:], sha256.Size)
		if err == nil && hmac.Equal(mac, c.mac(id)) {
			return openflow.RunID(id), nil
		}
	}
	return "", unauthorized("the task credential is not valid at this node").
		WithHint("send the value of OPENFLOW_CREDENTIAL as Authorization: Bearer …")
}

func (c Credentials) mac(id string) []byte { return c.keyed("openflow-task-v1\n" + id) }

func (c Credentials) keyed(text string) []byte {
	m := hmac.New(sha256.New, c.secret)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// Name is the same at all replicas of a node, which share the secret, and another at every other node. It tells nothing
// of the secret.
func (c Credentials) Name() string {
	return "node-" + hex.EncodeToString(c.keyed("openflow-node-v1")[:8])
}

// LoadOrCreateToken returns the token of the application layer in dir, making it at the first start. File and folder
// must be closed to others, as for LoadOrCreateKey.
func LoadOrCreateToken(dir string) (string, error) { return loadOrCreateToken(dir, tokenFile) }

func loadOrCreateToken(dir, name string) (string, error) {
	text, err := loadOrCreate(dir, name, func() string { return randomText(secretBytes) })
	if err != nil {
		return "", err
	}
	if len(text) < 16 { // an operator may choose a token, but not a guessable or empty one
		return "", openflow.Errorf(openflow.CodeInvalid, "the token in %s/%s is shorter than 16 characters", dir, name).
			WithHint("remove the file to have a new one made")
	}
	return text, nil
}

// WorkerToken is what the workers of the site's pool prove themselves with. It is read anew for every check, so that a
// rotation holds at once.
type WorkerToken struct{ dir string }

// LoadOrCreateWorkerToken returns the token of the pool's workers in dir, making it when there is none. File and folder
// must be closed to others, as for LoadOrCreateKey.
func LoadOrCreateWorkerToken(dir string) (WorkerToken, string, error) {
	t := WorkerToken{dir}
	text, err := t.load()
	return t, text, err
}

func (t WorkerToken) load() (string, error) { return loadOrCreateToken(t.dir, workerFile) }

// Check refuses everything but the present token. Errors: CodeUnauthorized.
func (t WorkerToken) Check(given string) error {
	text, err := t.load()
	if err != nil {
		return err
	}
	if !SameToken(text, given) {
		return unauthorized("the worker token is not that of this node").
			WithHint("the node's operator prints it with: openflow site worker-token --home DIR")
	}
	return nil
}

// RotateWorkerToken replaces the token in dir and returns the new one. Workers with the old one are refused from now on.
func RotateWorkerToken(dir string) (string, error) {
	path := filepath.Join(dir, workerFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fileError("remove", path, err)
	}
	_, text, err := LoadOrCreateWorkerToken(dir)
	return text, err
}

// handing stands between a worker token and the key of the node that takes it.
const handing = "@" + publicPrefix

// HandOut is a worker token as the operator of a machine gets it: with the key by which the machine knows the node.
func HandOut(token string, node PublicKey) string { return token + "@" + node.String() }

// TakeOver reads what HandOut has written. A token alone comes with the zero key. CodeInvalid: the key is none.
func TakeOver(text string) (token string, node PublicKey, err error) {
	i := strings.LastIndex(text, handing)
	if i < 0 {
		return text, PublicKey{}, nil
	}
	if node, err = ParsePublicKey(text[i+1:]); err != nil {
		return "", PublicKey{}, openflow.Errorf(openflow.CodeInvalid, "the worker token is not whole: the node's key behind its @ is none").
			WithHint("copy all that openflow site worker-token prints")
	}
	return text[:i], node, nil
}

// SameToken compares a token with the one expected, in constant time. An empty expectation is equal to nothing.
func SameToken(expected, given string) bool {
	return expected != "" && subtle.ConstantTimeCompare([]byte(expected), []byte(given)) == 1
}
