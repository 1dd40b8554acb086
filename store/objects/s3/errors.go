package s3

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"

	"github.com/minio/minio-go/v7"

	"openflow"
)

// classify turns an error of the server, or of the way to it, into one of ours with the place and what to do. One that is
// ours already stays.
func (s *Store) classify(doing string, err error) error {
	var ours *openflow.Error
	if err == nil || errors.As(err, &ours) {
		return err
	}
	code, say, hint := explain(err)
	e := openflow.Errorf(code, "object store %s: %s: %s: %w", s.options, doing, say, err)
	if hint == "" {
		return e
	}
	return e.WithHint("%s", hint)
}

// explain says what kind of trouble err is, in words, and what to do about it.
func explain(err error) (code openflow.Code, say, hint string) {
	switch {
	case errors.Is(err, context.Canceled):
		return openflow.CodeCanceled, "canceled", ""
	case errors.Is(err, context.DeadlineExceeded):
		return openflow.CodeDeadline, "no time left", ""
	}
	var answer minio.ErrorResponse
	if errors.As(err, &answer) {
		return explainAnswer(answer)
	}
	var network net.Error
	var request *url.Error
	if errors.As(err, &network) || errors.As(err, &request) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) {
		return openflow.CodeUnavailable, "the server does not answer",
			"see that it runs, can be reached from here, and speaks TLS unless the URL says tls=false"
	}
	return openflow.CodeInternal, "failed", ""
}

// explainAnswer reads what the server said. Its codes differ from one maker to another, statuses do not.
func explainAnswer(a minio.ErrorResponse) (code openflow.Code, say, hint string) {
	switch a.Code {
	case minio.NoSuchKey:
		return openflow.CodeNotFound, "it does not exist there", ""
	case minio.NoSuchBucket: // not CodeNotFound, which would mean that the object is gone
		return openflow.CodeUnavailable, "there is no such bucket", "make the bucket once, or correct its name in the URL"
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken":
		return openflow.CodeUnauthorized, "the server does not accept the key", "check key and secret, and that the secret is escaped in the URL"
	case "RequestTimeTooSkewed":
		return openflow.CodeUnauthorized, "the clocks of this machine and of the server differ too much", "set the clock"
	case "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded":
		return openflow.CodeExhausted, "no space left", "free space in the bucket or raise its quota"
	}
	switch {
	case a.StatusCode == http.StatusForbidden:
		return openflow.CodePermission, "the key may not do that",
			"it needs s3:ListBucket on the bucket and s3:GetObject, s3:PutObject and s3:DeleteObject on its objects"
	case a.StatusCode == http.StatusUnauthorized:
		return openflow.CodeUnauthorized, "the server does not accept the key", "check key and secret"
	case a.StatusCode == http.StatusInsufficientStorage:
		return openflow.CodeExhausted, "no space left", "free space in the bucket or raise its quota"
	case a.StatusCode >= http.StatusInternalServerError, a.StatusCode == http.StatusTooManyRequests:
		return openflow.CodeUnavailable, "the server is in trouble", "it may be repeated; see the server's own log"
	}
	return openflow.CodeInternal, "the server refuses", ""
}

// spoolError explains what happens to the local file. The reader's own error comes through.
func spoolError(dir string, err error) error {
	var path *fs.PathError
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return openflow.Errorf(openflow.CodeExhausted, "store object: no space left in %s, where it is kept until it is sent: %w", dir, err).
			WithHint("free space there, or name another folder")
	case errors.Is(err, context.Canceled):
		return openflow.Errorf(openflow.CodeCanceled, "store object: %w", err)
	case errors.As(err, &path), errors.Is(err, os.ErrClosed):
		return openflow.Errorf(openflow.CodeInternal, "store object: keep it in %s until it is sent: %w", dir, err)
	}
	return err
}
