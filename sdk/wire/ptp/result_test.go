package ptp_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire/ptp"
)

// all are the results of interop-transport §9, in its order, and what they are here.
var all = []struct {
	result    ptp.Result
	text      string
	code      openflow.Code
	retryable bool
}{
	{ptp.ResultOK, "E0000000000", "", false},
	{ptp.ResultIllegal, "E0000000400", openflow.CodeInvalid, false},
	{ptp.ResultForbidden, "E0000000403", openflow.CodePermission, false},
	{ptp.ResultNotFound, "E0000000404", openflow.CodeNotFound, false},
	{ptp.ResultTooLarge, "E0000000413", openflow.CodeInvalid, false},
	{ptp.ResultInternal, "E0000000500", openflow.CodeInternal, false},
	{ptp.ResultUnreachable, "E0000000503", openflow.CodeUnavailable, true},
	{ptp.ResultUnknown, "E0000000520", openflow.CodeInternal, false},
	{ptp.ResultIncompatible, "E0000000600", openflow.CodeUnimplemented, false},
	{ptp.ResultTimeout, "E0000000601", openflow.CodeDeadline, true},
	{ptp.ResultNoInstance, "E0000000602", openflow.CodeUnavailable, false},
	{ptp.ResultBadCertificate, "E0000000603", openflow.CodeUnauthorized, false},
	{ptp.ResultNodeExpired, "E0000000604", openflow.CodeUnauthorized, false},
	{ptp.ResultNetworkExpired, "E0000000605", openflow.CodePermission, false},
	{ptp.ResultNetworkDisabled, "E0000000606", openflow.CodeRejected, false},
	{ptp.ResultNoNetwork, "E0000000607", openflow.CodeUnavailable, true},
	{ptp.ResultReleased, "E0000000608", openflow.CodeCanceled, false},
	{ptp.ResultNotPermitted, "E0000000614", openflow.CodePermission, false},
	{ptp.ResultBadSignature, "E0000000615", openflow.CodeUnauthorized, false},
	{ptp.ResultCodec, "E0000000616", openflow.CodeInvalid, false},
	{ptp.ResultServiceMissing, "E0000000617", openflow.CodeUnimplemented, false},
	{ptp.ResultNotNetworked, "E0000000618", openflow.CodeNotFound, false},
	{ptp.ResultIllegalAddress, "E0000000619", openflow.CodeUnavailable, false},
	{ptp.ResultBufferFull, "E0000000700", openflow.CodeExhausted, true},
	{"136", "136", openflow.CodeInternal, false},
}

func TestResults(t *testing.T) {
	for _, test := range all {
		require.Equal(t, test.text, string(test.result))
		require.Equal(t, test.code, test.result.Code(), test.text)
		require.Equal(t, test.retryable, test.result.Retryable(), test.text)
		err := ptp.TransportOutbound{Code: test.result, Message: "words"}.Err()
		require.Equal(t, test.code, openflow.CodeOf(err), test.text)
		require.Equal(t, test.result, ptp.ResultOf(err), "a verdict is relayed as it is")
		if err != nil {
			require.ErrorContains(t, err, test.text+": words")
		}
	}
	require.Equal(t, ptp.ResultUnknown, ptp.ResultOf(ptp.TransportOutbound{}.Err()), "a reply without a code is no success")
}

func TestResultOfCode(t *testing.T) {
	for _, code := range []openflow.Code{
		openflow.CodeInvalid, openflow.CodeUnauthorized, openflow.CodePermission, openflow.CodeNotFound,
		openflow.CodeConflict, openflow.CodeRejected, openflow.CodeExhausted, openflow.CodeUnavailable,
		openflow.CodeCanceled, openflow.CodeDeadline, openflow.CodeUnimplemented, openflow.CodeInternal,
	} {
		back := ptp.ResultOf(openflow.Errorf(code, "x")).Code()
		if code == openflow.CodeConflict {
			require.Equal(t, openflow.CodeInvalid, back)
			continue
		}
		require.Equal(t, code, back)
	}
	require.Equal(t, ptp.ResultOK, ptp.ResultOf(nil))
	require.Equal(t, ptp.ResultInternal, ptp.ResultOf(openflow.Errorf("tomorrow's", "x")))
	require.Equal(t, ptp.ResultTimeout, ptp.ResultOf(context.DeadlineExceeded))
}

func TestFail(t *testing.T) {
	require.NoError(t, ptp.Fail(ptp.ResultTooLarge, nil))
	cause := openflow.Errorf(openflow.CodeInvalid, "message of 9 bytes")
	err := ptp.Fail(ptp.ResultTooLarge, cause)
	require.ErrorIs(t, err, cause)
	require.Equal(t, ptp.TransportOutbound{Code: ptp.ResultTooLarge, Message: "message of 9 bytes"}, ptp.Reply(err))
}

func TestReply(t *testing.T) {
	require.Equal(t, ptp.TransportOutbound{Code: ptp.ResultOK, Message: "OK"}, ptp.Reply(nil))
	require.Equal(t, ptp.TransportOutbound{Code: ptp.ResultInternal, Message: "internal error"},
		ptp.Reply(errors.New("open /secret/path")))
	require.Equal(t, ptp.Reply(nil), ptp.EmptyPop("openflow"))
	require.Equal(t, ptp.ResultTimeout, ptp.EmptyPop("FATE").Code)
}

func TestWait(t *testing.T) {
	for name, test := range map[string]struct {
		query, header string
		body          int32
		want          time.Duration
	}{
		"nothing":              {want: 120 * time.Second},
		"query in seconds":     {query: "30", header: "5000", body: 6000, want: 30 * time.Second},
		"header in ms":         {header: "5000", body: 6000, want: 5 * time.Second},
		"body in ms":           {body: 6000, want: 6 * time.Second},
		"at least a second":    {body: 3, want: time.Second},
		"at most five minutes": {query: "301", want: 300 * time.Second},
		"negative":             {query: "-1", header: "-1", body: -1, want: 120 * time.Second},
		"zero falls through":   {query: "0", header: "2000", want: 2 * time.Second},
		"no number":            {query: "1s", header: " 2000 ", want: 2 * time.Second},
		"out of range":         {header: "99999999999999999999", want: 300 * time.Second},
		"out of range, down":   {query: "-99999999999999999999", want: 120 * time.Second},
		"would overflow":       {query: "-9223372036854775807", want: 120 * time.Second},
	} {
		require.Equal(t, test.want, ptp.Wait(test.query, test.header, test.body), name)
	}
}

func TestParsePath(t *testing.T) {
	for path, want := range map[string]struct {
		op   ptp.Operation
		grpc bool
	}{
		"/v1/interconn/chan/push":                            {ptp.OperationPush, false},
		"/v1/interconn/chan/pop":                             {ptp.OperationPop, false},
		"/v1/interconn/chan/peek":                            {ptp.OperationPeek, false},
		"/v1/interconn/chan/release":                         {ptp.OperationRelease, false},
		"/v1/interconn/chan/invoke":                          {ptp.OperationInvoke, false},
		"/v1/interconn/chan/transport":                       {ptp.OperationTransport, false},
		"/org.ppc.ptp.PrivateTransferTransport/peek":         {ptp.OperationPeek, true},
		"/org.ppc.ptp.PrivateTransferProtocol/transport":     {ptp.OperationTransport, true},
		"/org.ppc.grpc_ptp.PrivateTransferTransport/release": {ptp.OperationRelease, true},
		"/org.ppc.grpc_ptp.PrivateTransferProtocol/invoke":   {ptp.OperationInvoke, true},
		"/org.ppc.ptp.PrivateTransferTransport/invoke":       {},
		"/v1/interconn/chan/push/":                           {},
		"/v1/interconn/chan/":                                {},
		"":                                                   {},
	} {
		op, grpc := ptp.ParsePath(path)
		require.Equal(t, want.op, op, path)
		require.Equal(t, want.grpc, grpc, path)
	}
}

func TestParseURI(t *testing.T) {
	for value, want := range map[string]struct {
		op   ptp.Operation
		path string
	}{
		"":                                 {ptp.OperationPush, "/v1/interconn/chan/push"},
		ptp.PushURI:                        {ptp.OperationPush, "/v1/interconn/chan/push"},
		ptp.PushURIGRPC:                    {ptp.OperationPush, "/org.ppc.ptp.PrivateTransferTransport/push"},
		"/v1/interconn/chan/pop?timeout=3": {ptp.OperationPop, "/v1/interconn/chan/pop"},
		"grpcs://ptp.cn/org.ppc.ptp.PrivateTransferTransport/push": {ptp.OperationPush,
			"/org.ppc.ptp.PrivateTransferTransport/push"},
		"http://evil.example/v1/interconn/schedule/task/poll": {ptp.OperationOther,
			"/v1/interconn/schedule/task/poll"},
	} {
		op, path, err := ptp.ParseURI(value)
		require.NoError(t, err, value)
		require.Equal(t, want.op, op, value)
		require.Equal(t, want.path, path, value)
	}
	for _, value := range []string{"https://ptp.cn", "push", "https://a b/", "mailto:x"} {
		_, _, err := ptp.ParseURI(value)
		require.Equal(t, ptp.ResultNotFound, ptp.ResultOf(err), value)
	}
}
