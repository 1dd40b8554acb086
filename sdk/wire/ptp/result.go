package ptp

import (
	"errors"
	"fmt"
	"net/http"

	"openflow"
)

// Result is the verdict that a reply carries in its body. All but ResultOK are failures.
//
// Spec: interop-transport §9.
type Result string

// The results, in the order of the specification.
const (
	ResultOK              Result = "E0000000000" // also an empty pop
	ResultIllegal         Result = "E0000000400" // missing session, bad field
	ResultForbidden       Result = "E0000000403" // resource not authorized: token or permit refused
	ResultNotFound        Result = "E0000000404" // YACL: no data yet
	ResultTooLarge        Result = "E0000000413"
	ResultInternal        Result = "E0000000500"
	ResultUnreachable     Result = "E0000000503" // routing loop, upstream down
	ResultUnknown         Result = "E0000000520"
	ResultIncompatible    Result = "E0000000600"
	ResultTimeout         Result = "E0000000601" // the push may have arrived; FATE: an empty pop
	ResultNoInstance      Result = "E0000000602"
	ResultBadCertificate  Result = "E0000000603"
	ResultNodeExpired     Result = "E0000000604" // node authorization code expired
	ResultNetworkExpired  Result = "E0000000605" // node networking period expired
	ResultNetworkDisabled Result = "E0000000606" // by the peer
	ResultNoNetwork       Result = "E0000000607" // connect failure
	ResultReleased        Result = "E0000000608" // of the session
	ResultNotPermitted    Result = "E0000000614" // interface not permitted: remote pop
	ResultBadSignature    Result = "E0000000615" // of the certificate
	ResultCodec           Result = "E0000000616" // unsupported content type, bad base64
	ResultServiceMissing  Result = "E0000000617" // downstream version mismatch, service missing
	ResultNotNetworked    Result = "E0000000618" // no route
	ResultIllegalAddress  Result = "E0000000619" // bad route entry
	ResultBufferFull      Result = "E0000000700"
)

// codes says what each result is to a caller of ours.
var codes = map[Result]openflow.Code{
	ResultOK:              "",
	ResultIllegal:         openflow.CodeInvalid,
	ResultForbidden:       openflow.CodePermission,
	ResultNotFound:        openflow.CodeNotFound,
	ResultTooLarge:        openflow.CodeInvalid,
	ResultInternal:        openflow.CodeInternal,
	ResultUnreachable:     openflow.CodeUnavailable,
	ResultUnknown:         openflow.CodeInternal,
	ResultIncompatible:    openflow.CodeUnimplemented,
	ResultTimeout:         openflow.CodeDeadline,
	ResultNoInstance:      openflow.CodeUnavailable,
	ResultBadCertificate:  openflow.CodeUnauthorized,
	ResultNodeExpired:     openflow.CodeUnauthorized,
	ResultNetworkExpired:  openflow.CodePermission,
	ResultNetworkDisabled: openflow.CodeRejected,
	ResultNoNetwork:       openflow.CodeUnavailable,
	ResultReleased:        openflow.CodeCanceled,
	ResultNotPermitted:    openflow.CodePermission,
	ResultBadSignature:    openflow.CodeUnauthorized,
	ResultCodec:           openflow.CodeInvalid,
	ResultServiceMissing:  openflow.CodeUnimplemented,
	ResultNotNetworked:    openflow.CodeNotFound,
	ResultIllegalAddress:  openflow.CodeUnavailable,
	ResultBufferFull:      openflow.CodeExhausted,
}

// results says what each code is to a peer. Each result has the code it came from, except that the layer knows no
// conflict.
var results = map[openflow.Code]Result{
	"":                         ResultOK,
	openflow.CodeInvalid:       ResultIllegal,
	openflow.CodeUnauthorized:  ResultBadCertificate,
	openflow.CodePermission:    ResultForbidden,
	openflow.CodeNotFound:      ResultNotFound,
	openflow.CodeConflict:      ResultIllegal,
	openflow.CodeRejected:      ResultNetworkDisabled,
	openflow.CodeExhausted:     ResultBufferFull,
	openflow.CodeSpent:         ResultTooLarge,
	openflow.CodeUnavailable:   ResultUnreachable,
	openflow.CodeCanceled:      ResultReleased,
	openflow.CodeDeadline:      ResultTimeout,
	openflow.CodeUnimplemented: ResultServiceMissing,
	openflow.CodeInternal:      ResultInternal,
}

// Code classifies r; empty for ResultOK, CodeInternal for a result that is not of the standard.
func (r Result) Code() openflow.Code {
	if code, ok := codes[r]; ok {
		return code
	}
	return openflow.CodeInternal
}

// Retryable reports whether the same request, with the same message ID, can succeed later.
//
// Spec: interop-transport §6.1.
func (r Result) Retryable() bool {
	switch r {
	case ResultBufferFull, ResultTimeout, ResultUnreachable, ResultNoNetwork:
		return true
	}
	return false
}

// ResultOf is what a peer is told of err: the very result that a Failure in its chain names, ResultTooLarge for a request
// body above its bound (*http.MaxBytesError), otherwise that of its code.
func ResultOf(err error) Result {
	var f *Failure
	if errors.As(err, &f) {
		return f.Result
	}
	var body *http.MaxBytesError
	if errors.As(err, &body) {
		return ResultTooLarge
	}
	if r, ok := results[openflow.CodeOf(err)]; ok {
		return r
	}
	return ResultInternal
}

// Failure is the cause of an error that has a result of its own, be it received or to be sent.
type Failure struct {
	Result  Result
	Message string // the peer's words, if any
}

// Error renders result and message.
func (f *Failure) Error() string {
	if f.Message == "" {
		return string(f.Result)
	}
	return fmt.Sprintf("%s: %s", f.Result, f.Message)
}

// Fail returns err with the result that a peer is to be told of it; nil for nil.
func Fail(r Result, err error) error {
	if err == nil {
		return nil
	}
	return &openflow.Error{Code: r.Code(), Message: err.Error(), Err: errors.Join(&Failure{Result: r}, err)}
}

func failure(r Result, format string, args ...any) error {
	return Fail(r, fmt.Errorf(format, args...))
}
