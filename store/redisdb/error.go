package redisdb

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"openflow"
)

// Failure turns an error of the client or the server into one of ours; one that is ours already stays. doing says what was
// attempted.
//
// CodeExhausted: the server's memory is full. CodeUnavailable: it does not answer, starts, or is no primary now.
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
	case says(err, "OOM"):
		return openflow.Errorf(openflow.CodeExhausted, "%s: the memory of Redis is full: %w", doing, err).
			WithHint("raise maxmemory of Redis; what is read makes room too")
	case says(err, "NOAUTH", "WRONGPASS", "NOPERM"):
		return openflow.Errorf(openflow.CodePermission, "%s: Redis refuses: %w", doing, err).
			WithHint("check user and password in the URL of Redis, and what the user may do")
	case isNet(err), says(err, "LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "MISCONF"):
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

// says reports whether err is an answer of the server with one of these codes, by itself or out of a script.
func says(err error, codes ...string) bool {
	var answer redis.Error
	if !errors.As(err, &answer) {
		return false
	}
	for _, code := range codes {
		if text := answer.Error(); strings.HasPrefix(text, code+" ") || strings.Contains(text, "-"+code+" ") {
			return true
		}
	}
	return false
}
