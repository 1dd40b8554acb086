package embedded

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"

	"go.temporal.io/server/common/authorization"
)

// token is the secret that opens the frontend: 32 random bytes in hex, made at every start and never written anywhere,
// unless the options bring one.
type token string

func newToken() token {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process when the system has no randomness
	return token(hex.EncodeToString(b))
}

func (t token) header() string { return "Bearer " + string(t) }

// tokenMapper gives the bearer of the token every right, and everybody else none. The server uses it at the public
// frontend only; the internal frontend, which mutual TLS protects, maps every caller to an administrator.
type tokenMapper struct {
	token token
	open  bool // everybody is its bearer
}

// GetClaims implements authorization.ClaimMapper.
func (m tokenMapper) GetClaims(info *authorization.AuthInfo) (*authorization.Claims, error) {
	if !m.open && subtle.ConstantTimeCompare([]byte(info.AuthToken), []byte(m.token.header())) != 1 {
		return &authorization.Claims{}, nil
	}
	return &authorization.Claims{System: authorization.RoleAdmin}, nil
}

// AuthInfoRequired makes the server ask for claims of requests without any credentials too.
func (tokenMapper) AuthInfoRequired() bool { return false }

// adminOnly admits administrators and refuses everybody else, whatever the call.
type adminOnly struct{}

// Authorize implements authorization.Authorizer.
func (adminOnly) Authorize(_ context.Context, c *authorization.Claims, _ *authorization.CallTarget) (authorization.Result, error) {
	if c != nil && c.System == authorization.RoleAdmin {
		return authorization.Result{Decision: authorization.DecisionAllow}, nil
	}
	return authorization.Result{Decision: authorization.DecisionDeny, Reason: "token missing or wrong"}, nil
}

// tokenCredentials adds the token to every call of a gRPC connection.
type tokenCredentials struct{ token token }

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (c tokenCredentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": c.token.header()}, nil
}

// RequireTransportSecurity is false: reading loopback traffic takes root, who can read this process as well.
func (tokenCredentials) RequireTransportSecurity() bool { return false }
