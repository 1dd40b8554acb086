package openflow_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestRetryable(t *testing.T) {
	for code, want := range map[openflow.Code]bool{
		openflow.CodeInvalid: false, openflow.CodeUnauthorized: false, openflow.CodePermission: false,
		openflow.CodeNotFound: false, openflow.CodeConflict: false, openflow.CodeRejected: false,
		openflow.CodeExhausted: true, openflow.CodeSpent: false, openflow.CodeUnavailable: true, openflow.CodeCanceled: false,
		openflow.CodeDeadline: true, openflow.CodeUnimplemented: false, openflow.CodeInternal: true,
		"": false, "made up": false,
	} {
		require.Equal(t, want, code.Retryable(), "code %q", code)
	}
}

func TestCodeOf(t *testing.T) {
	own := openflow.Errorf(openflow.CodeRejected, "no")
	for name, tc := range map[string]struct {
		err  error
		want openflow.Code
	}{
		"nil":             {nil, ""},
		"own":             {own, openflow.CodeRejected},
		"wrapped":         {fmt.Errorf("submit: %w", own), openflow.CodeRejected},
		"joined":          {errors.Join(io.EOF, own), openflow.CodeRejected},
		"canceled":        {fmt.Errorf("read: %w", context.Canceled), openflow.CodeCanceled},
		"deadline":        {context.DeadlineExceeded, openflow.CodeDeadline},
		"foreign":         {io.EOF, openflow.CodeInternal},
		"own over cancel": {openflow.Errorf(openflow.CodeUnavailable, "x: %w", context.Canceled), openflow.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, openflow.CodeOf(tc.err)) })
	}
}

func TestErrorText(t *testing.T) {
	for name, tc := range map[string]struct {
		err  *openflow.Error
		want string
	}{
		"message":             {openflow.Errorf(openflow.CodeInvalid, "task %q", "a"), `task "a"`},
		"with party and hint": {&openflow.Error{Party: "9999", Message: "busy", Hint: "wait"}, "at party 9999: busy (wait)"},
		"cause only":          {&openflow.Error{Code: openflow.CodeInternal, Err: io.EOF}, "EOF"},
		"code only":           {&openflow.Error{Code: openflow.CodeInternal}, "internal"},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, tc.err.Error()) })
	}
}

func TestErrorfKeepsTheCause(t *testing.T) {
	err := openflow.Errorf(openflow.CodeUnavailable, "read %s: %w", "x", io.ErrUnexpectedEOF)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, "read x: unexpected EOF", err.Message)
	require.NoError(t, openflow.Errorf(openflow.CodeInvalid, "plain").Err)
}

func TestWithHintLeavesTheOriginal(t *testing.T) {
	e := openflow.Errorf(openflow.CodeInvalid, "no")
	hinted := e.WithHint("do %d", 3)
	require.Equal(t, "do 3", hinted.Hint)
	require.Empty(t, e.Hint)
}

// Subject and party are set once, by whoever is nearest to the fault.
func TestAboutAndAtParty(t *testing.T) {
	require.NoError(t, openflow.About(openflow.AboutJob, nil))
	require.NoError(t, openflow.AtParty("9999", nil))

	plain := openflow.Errorf(openflow.CodeNotFound, "gone")
	var e *openflow.Error
	err := openflow.AtParty("10000", openflow.AtParty("9999", openflow.About(openflow.AboutTask, openflow.About(openflow.AboutJob, plain))))
	require.ErrorAs(t, err, &e)
	require.Equal(t, openflow.AboutJob, e.Subject)
	require.Equal(t, openflow.PartyID("9999"), e.Party)
	require.Equal(t, openflow.CodeNotFound, e.Code)
	require.Empty(t, plain.Subject, "the original is not changed")
	require.Empty(t, plain.Party)

	for name, err := range map[string]error{
		"about": openflow.About(openflow.AboutTable, fmt.Errorf("read: %w", context.DeadlineExceeded)),
		"party": openflow.AtParty("9999", fmt.Errorf("read: %w", context.DeadlineExceeded)),
	} {
		t.Run(name+" of a foreign error", func(t *testing.T) {
			require.Equal(t, openflow.CodeDeadline, openflow.CodeOf(err))
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
	}
}

func TestPublicText(t *testing.T) {
	private := openflow.Errorf(openflow.CodeInvalid, "column %q has no value in row %d", "SALARY_BAND", 56)
	marked := private.WithPublic("a column has a missing value")
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"nothing is public by default", private, ""},
		{"nor of an error of another kind", errors.New("id 13800000000"), ""},
		{"what the author marked is", marked, "a column has a missing value"},
		{"also inside another error", openflow.Errorf(openflow.CodeInvalid, "input of guest: %w", marked), "a column has a missing value"},
		{"the outermost wins", openflow.Errorf(openflow.CodeInvalid, "input: %w", marked).WithPublic("the input is not usable"), "the input is not usable"},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, openflow.PublicText(c.err)) })
	}
}

func TestConsequence(t *testing.T) {
	ended := openflow.Errorf(openflow.CodeUnavailable, "the session has ended").AsConsequence()
	require.True(t, openflow.IsConsequence(openflow.Errorf(openflow.CodeInternal, "read of tag 1: %w", ended)))
	require.False(t, openflow.IsConsequence(openflow.Errorf(openflow.CodeInvalid, "a cell is empty")))
	require.False(t, openflow.IsConsequence(nil))
}

func TestCauseOf(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want openflow.Cause
	}{
		"a plain error tells its code":        {errors.New("cell 7"), openflow.Cause{Code: openflow.CodeInternal}},
		"ours tells its code":                 {openflow.Errorf(openflow.CodeInvalid, "cell 7"), openflow.Cause{Code: openflow.CodeInvalid}},
		"and what is marked":                  {openflow.Errorf(openflow.CodeInvalid, "cell 7").WithPublic("no"), openflow.Cause{Code: openflow.CodeInvalid, Text: "no"}},
		"and whether it is another's trouble": {openflow.Errorf(openflow.CodeCanceled, "x").AsConsequence(), openflow.Cause{Code: openflow.CodeCanceled, Consequence: true}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, openflow.CauseOf(c.err)) })
	}
}

func TestForPartners(t *testing.T) {
	disk := fmt.Errorf("open /home/ann/catalogue.db: %w", fs.ErrPermission)
	for name, c := range map[string]struct {
		err  error
		text string // rendered
		all  string // in one line, as a reason
		code openflow.Code
	}{
		"a refusal of ours": {openflow.Errorf(openflow.CodeNotFound, "no table a/b").WithHint("upload it"), "no table a/b (upload it)", "no table a/b (upload it)", openflow.CodeNotFound},
		"a refusal within one": {
			openflow.Errorf(openflow.CodeInvalid, "input x: %w", openflow.Errorf(openflow.CodeInvalid, "it is none")), "input x: it is none", "input x: it is none", openflow.CodeInvalid,
		},
		"a marked text":          {openflow.Errorf(openflow.CodeInvalid, "cell 7").WithPublic("no").WithHint("look at cell 7"), "no", "no", openflow.CodeInvalid},
		"a file system's words":  {openflow.Errorf(openflow.CodeNotFound, "object: %w", disk).WithHint("look there"), "only its own site knows why (not_found) (its operator finds that in the log of its node)", "only its own site knows why (not_found) (its operator finds that in the log of its node)", openflow.CodeNotFound},
		"the same, below":        {openflow.Errorf(openflow.CodeNotFound, "x: %w", openflow.Errorf(openflow.CodeNotFound, "y: %w", disk)), "only its own site knows why (not_found) (its operator finds that in the log of its node)", "only its own site knows why (not_found) (its operator finds that in the log of its node)", openflow.CodeNotFound},
		"a defect":               {openflow.Errorf(openflow.CodeInternal, "index 5 out of range"), "only its own site knows why (internal) (its operator finds that in the log of its node)", "only its own site knows why (internal) (its operator finds that in the log of its node)", openflow.CodeInternal},
		"somebody else's error":  {disk, "only its own site knows why (internal) (its operator finds that in the log of its node)", "only its own site knows why (internal) (its operator finds that in the log of its node)", openflow.CodeInternal},
		"a deadline":             {fmt.Errorf("dial 10.0.0.7: %w", context.DeadlineExceeded), "no answer in time", "no answer in time", openflow.CodeDeadline},
		"the party where it was": {openflow.AtParty("7", openflow.Errorf(openflow.CodeRejected, "no")), "at party 7: no", "no", openflow.CodeRejected},
	} {
		t.Run(name, func(t *testing.T) {
			got := openflow.ForPartners(c.err)
			require.Equal(t, c.text, got.Error())
			require.Equal(t, c.all, got.Public)
			require.Equal(t, c.code, got.Code)
			require.NoError(t, got.Unwrap(), "its cause stays")
		})
	}
	require.Nil(t, openflow.ForPartners(nil))
}

func TestCodesAreKnown(t *testing.T) {
	require.True(t, openflow.CodeUnimplemented.Valid())
	require.False(t, openflow.Code("marked").Valid())
	require.False(t, openflow.Code("").Valid())
}
