package redisdb

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"

	"github.com/redis/go-redis/v9"

	"openflow"
)

// Failure turns an error of the client or the server into one of ours; one that is ours already stays. doing says what was
// attempted.
//
// CodeExhausted: the server's memory is full. CodeUnavailable: it does not answer, starts, is no primary now, or is not believed.
// CodePermission: it refuses the user. CodeInternal: anything else.
func Failure(doing string, err error) error {
	var ours *openflow.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return openflow.Errorf(openflow.CodeOf(err), "%s: %w", doing, err)
	case redis.IsOOMError(err):
		return openflow.Errorf(openflow.CodeExhausted, "%s: the memory of Redis is full: %w", doing, err).
			WithHint("raise maxmemory of Redis; what is read makes room too")
	case redis.IsAuthError(err), redis.IsPermissionError(err):
		return openflow.Errorf(openflow.CodePermission, "%s: Redis refuses: %w", doing, err).
			WithHint("check user and password in the URL of Redis, and what the user may do")
	case isForeign(err):
		return openflow.Errorf(openflow.CodeUnavailable, "%s: the certificate of Redis is not believed: %w", doing, err).
			WithHint("name the authority that has given it in the URL, as in rediss://…?ca=FILE, and call the host that it names")
	case isNet(err), isAway(err):
		return openflow.Errorf(openflow.CodeUnavailable, "%s: Redis does not serve: %w", doing, err).
			WithHint("check that Redis runs and can be reached; the call can be repeated")
	}
	return openflow.Errorf(openflow.CodeInternal, "%s: %w", doing, err)
}

// isNet reports whether the connection is to blame.
func isNet(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted)
}

// isForeign reports whether the server has shown a certificate that does not verify.
func isForeign(err error) bool {
	var unverified *tls.CertificateVerificationError
	return errors.As(err, &unverified)
}

// isAway reports whether the server answers that it does not serve now. Two of its codes have no function of their own in
// the client; a code ends at the first space, so that BUSY is not BUSYGROUP.
func isAway(err error) bool {
	return redis.IsLoadingError(err) || redis.IsReadOnlyError(err) || redis.IsMasterDownError(err) || redis.IsClusterDownError(err) ||
		redis.IsTryAgainError(err) || redis.HasErrorPrefix(err, "BUSY ") || redis.HasErrorPrefix(err, "MISCONF ")
}
