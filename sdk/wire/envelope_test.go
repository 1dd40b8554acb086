package wire_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

var codes = []openflow.Code{
	openflow.CodeInvalid, openflow.CodeUnauthorized, openflow.CodePermission, openflow.CodeNotFound, openflow.CodeConflict,
	openflow.CodeRejected, openflow.CodeExhausted, openflow.CodeUnavailable, openflow.CodeCanceled, openflow.CodeDeadline,
	openflow.CodeUnimplemented, openflow.CodeInternal,
}

var subjects = []openflow.Subject{
	"", openflow.AboutJob, openflow.AboutTask, openflow.AboutResource, openflow.AboutTable, openflow.AboutModel,
	openflow.AboutFile, openflow.AboutSite, openflow.AboutApp, openflow.AboutRole, openflow.AboutTime, openflow.AboutGrant,
	openflow.AboutInheritance, openflow.AboutWarehouse,
}

// specCodes are the numbers of fate-flow-api §0.4.
var specCodes = map[int]bool{
	0: true, 1000: true, 1001: true, 1002: true, 1003: true, 1004: true, 1005: true, 1006: true, 1007: true, 2000: true,
	2001: true, 2002: true, 2003: true, 2004: true, 2005: true, 2006: true, 2007: true, 2008: true, 3000: true, 4000: true,
	4001: true, 5000: true, 5001: true, 5002: true, 5003: true, 5004: true, 5005: true, 5006: true, 5007: true, 5008: true,
	5009: true, 6000: true, 6001: true, 6002: true, 6003: true, 6004: true, 7001: true, 7002: true, 8001: true, 8002: true,
	104: true,
}

// What numbers alone lose: the code of a peer that sends no structured error is read as this one.
func asRead(code openflow.Code, about openflow.Subject) openflow.Code {
	switch code {
	case openflow.CodeDeadline:
		return openflow.CodeUnavailable // both 104
	case openflow.CodeCanceled:
		return openflow.CodeInternal // 1004: a stop that failed
	case openflow.CodeNotFound:
		switch about {
		case "", openflow.AboutResource, openflow.AboutSite, openflow.AboutRole, openflow.AboutTime, openflow.AboutGrant, openflow.AboutInheritance,
			openflow.AboutWarehouse:
			return openflow.CodeInternal // no number of its own
		case openflow.AboutApp:
			return openflow.CodeUnauthorized // 5002: also of one that signs
		}
	case openflow.CodePermission:
		if about == openflow.AboutApp {
			return openflow.CodeUnauthorized // 5004: it does not believe us
		}
	case openflow.CodeConflict:
		if about == openflow.AboutApp {
			return openflow.CodeInvalid // no number of its own
		}
	}
	return code
}

func TestEveryErrorHasANumberThatIsReadBack(t *testing.T) {
	for _, code := range codes {
		for _, about := range subjects {
			n := wire.CodeFor(code, about)
			require.True(t, specCodes[n], "%s about %q is %d, which the specification does not have", code, about, n)
			require.NotEqual(t, wire.Success, n)
			got := wire.Envelope{Code: n, Message: "m"}.Err()
			require.Equal(t, asRead(code, about), openflow.CodeOf(got), "%s about %q, number %d", code, about, n)
		}
	}
	require.Equal(t, wire.Success, wire.CodeFor("", ""))
	require.Equal(t, wire.ServerException, wire.CodeFor("made up", ""))
}

// The numbers that openflow sends for what the specification distinguishes.
func TestNumbersOfTheSpecification(t *testing.T) {
	for want, tc := range map[int]openflow.Error{
		1001: {Code: openflow.CodeNotFound, Subject: openflow.AboutJob},
		1002: {Code: openflow.CodeRejected, Subject: openflow.AboutJob},
		1003: {Code: openflow.CodeConflict, Subject: openflow.AboutJob},
		1005: {Code: openflow.CodeExhausted, Subject: openflow.AboutResource},
		1006: {Code: openflow.CodeInvalid, Subject: openflow.AboutResource},
		2000: {Code: openflow.CodeNotFound, Subject: openflow.AboutTask},
		2002: {Code: openflow.CodeConflict, Subject: openflow.AboutTask},
		2005: {Code: openflow.CodeNotFound, Subject: openflow.AboutModel},
		5000: {Code: openflow.CodeUnauthorized, Subject: openflow.AboutTime},
		5001: {Code: openflow.CodeInvalid},
		5002: {Code: openflow.CodeUnauthorized, Subject: openflow.AboutApp},
		5003: {Code: openflow.CodeUnauthorized},
		5004: {Code: openflow.CodePermission, Subject: openflow.AboutApp},
		5006: {Code: openflow.CodeInvalid, Subject: openflow.AboutGrant},
		5009: {Code: openflow.CodeInvalid, Subject: openflow.AboutRole},
		5005: {Code: openflow.CodePermission},
		6000: {Code: openflow.CodeInternal},
		6001: {Code: openflow.CodeUnimplemented},
		7001: {Code: openflow.CodeNotFound, Subject: openflow.AboutTable},
		7002: {Code: openflow.CodeConflict, Subject: openflow.AboutTable},
		8001: {Code: openflow.CodeNotFound, Subject: openflow.AboutFile},
		104:  {Code: openflow.CodeUnavailable},
	} {
		require.Equal(t, want, wire.CodeFor(tc.Code, tc.Subject), "%s about %q", tc.Code, tc.Subject)
	}
}

// What a genuine peer may answer, as a number only.
func TestNumbersOfAGenuinePeer(t *testing.T) {
	for n, want := range map[int]struct {
		code  openflow.Code
		about openflow.Subject
	}{
		1000: {openflow.CodeInvalid, openflow.AboutJob}, 1001: {openflow.CodeNotFound, openflow.AboutJob},
		1002: {openflow.CodeRejected, openflow.AboutJob}, 1003: {openflow.CodeConflict, openflow.AboutJob},
		1004: {openflow.CodeInternal, openflow.AboutJob}, 1005: {openflow.CodeExhausted, openflow.AboutResource},
		1006: {openflow.CodeInvalid, openflow.AboutResource}, 2000: {openflow.CodeNotFound, openflow.AboutTask},
		2001: {openflow.CodeRejected, openflow.AboutTask}, 2002: {openflow.CodeConflict, openflow.AboutTask},
		2003: {openflow.CodeInternal, openflow.AboutTask}, 2004: {openflow.CodeExhausted, openflow.AboutResource},
		2005: {openflow.CodeNotFound, openflow.AboutModel}, 3000: {openflow.CodeUnimplemented, openflow.AboutSite},
		5000: {openflow.CodeUnauthorized, openflow.AboutTime}, 5001: {openflow.CodeInvalid, ""}, 5002: {openflow.CodeUnauthorized, openflow.AboutApp},
		5003: {openflow.CodeUnauthorized, ""}, 5004: {openflow.CodeUnauthorized, ""}, 5005: {openflow.CodePermission, ""},
		5006: {openflow.CodeInvalid, openflow.AboutGrant}, 5009: {openflow.CodeInvalid, openflow.AboutRole},
		5007: {openflow.CodeInvalid, openflow.AboutFile}, 5008: {openflow.CodeInvalid, ""}, 6000: {openflow.CodeInternal, ""},
		6001: {openflow.CodeUnimplemented, ""}, 7001: {openflow.CodeNotFound, openflow.AboutTable},
		7002: {openflow.CodeConflict, openflow.AboutTable}, 8001: {openflow.CodeNotFound, openflow.AboutFile},
		104: {openflow.CodeUnavailable, ""}, 424242: {openflow.CodeInternal, ""},
	} {
		var e *openflow.Error
		require.ErrorAs(t, wire.Envelope{Code: n, Message: "said so"}.Err(), &e)
		require.Equal(t, want.code, e.Code, "number %d", n)
		require.Equal(t, want.about, e.Subject, "number %d", n)
		require.Equal(t, "said so", e.Message)
	}
	require.ErrorContains(t, wire.Envelope{Code: 6000}.Err(), "code 6000")
	require.NoError(t, wire.Envelope{Code: 0, Message: "success"}.Err())
}

// Between two nodes of ours nothing of an error is lost.
func TestErrorsCrossTheWireWhole(t *testing.T) {
	for _, code := range codes {
		for _, about := range subjects {
			sent := &openflow.Error{Code: code, Subject: about, Party: "10000", Message: "task \"a\" <b>", Hint: "do this", Err: io.EOF}
			b, err := json.Marshal(wire.Failure(sent))
			require.NoError(t, err)
			var e wire.Envelope
			require.NoError(t, json.Unmarshal(b, &e))
			var got *openflow.Error
			require.ErrorAs(t, e.Err(), &got)
			require.Empty(t, cmp.Diff(sent, got, cmpopts.IgnoreFields(openflow.Error{}, "Err", "Op")))
			require.NotContains(t, string(b), "EOF", "the cause is for logs")
			require.Equal(t, `at party 10000: task "a" <b> (do this)`, e.Message)
		}
	}
}

func TestForeignErrorsShowNothingOfThemselves(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"foreign":  {errors.New("password=secret"), "internal error"},
		"canceled": {fmt.Errorf("secret: %w", context.Canceled), "canceled"},
		"deadline": {fmt.Errorf("secret: %w", context.DeadlineExceeded), "deadline"},
		"no text":  {&openflow.Error{Code: openflow.CodeConflict}, "conflict"},
		"a cause":  {&openflow.Error{Code: openflow.CodeConflict, Err: errors.New("password=secret")}, "conflict"},
	} {
		t.Run(name, func(t *testing.T) {
			e := wire.Failure(tc.err)
			require.Equal(t, tc.want, e.Message)
			require.Equal(t, tc.want, e.Error.Message)
			require.NotEqual(t, wire.Success, e.Code)
		})
	}
}

// fate-flow-api §0.3: data only when there is some, message always.
func TestEnvelopeKeys(t *testing.T) {
	for want, e := range map[string]wire.Envelope{
		`{"code":0,"message":"success"}`:                        {Message: "success"},
		`{"code":0,"data":[],"message":"success"}`:              {Message: "success", Data: json.RawMessage("[]")},
		`{"code":0,"data":{},"job_id":"1","message":"success"}`: {Message: "success", Data: json.RawMessage("{}"), JobID: "1"},
	} {
		b, err := json.Marshal(e)
		require.NoError(t, err)
		require.Equal(t, want, string(b))
	}
}
