package fateflow

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/peer"
)

type noSigner struct{}

func (noSigner) Sign(*http.Request, openflow.PartyID, []byte) error { return nil }

// A healthy site of FATE-Flow refuses a call that lacks its arguments, for that and for nothing else. Each other answer is told with
// what its operator, or this site's, does about it. The answers are those of FATE-Flow 2.2.
func TestExamine(t *testing.T) {
	for name, tc := range map[string]struct {
		profile, answer string
		code            openflow.Code // empty: it is healthy
		says            string
	}{
		"healthy, asks for no signature":  {dialect.Unsigned, `{"code":5001,"data":{"json":{"job_id":["Missing data for required field."]}},"message":"Invalid request."}`, "", ""},
		"healthy, takes our signature":    {dialect.SiteSigned, `{"code":5001,"data":{"json":{}},"message":"Invalid request."}`, "", ""},
		"an openflow node in the dialect": {dialect.SiteSigned, `{"code":5001,"message":"invalid request: missing job_id","error":{"code":"invalid","message":"invalid request: missing job_id"}}`, "", ""},
		"asks for a signature":            {dialect.Unsigned, `{"code":5001,"message":"invalid parameter: appId"}`, openflow.CodeUnauthorized, "--trust fate-site-signature"},
		"another time":                    {dialect.SiteSigned, `{"code":5000,"message":"Request has expired"}`, openflow.CodeUnauthorized, "NTP"},
		"another app":                     {dialect.SiteSigned, `{"code":5002,"message":"No found appid: app_id[40172236]"}`, openflow.CodeUnauthorized, "flow client create-site --party-id 9999"},
		"another token":                   {dialect.SiteSigned, `{"code":5003,"message":"varify failed!"}`, openflow.CodeUnauthorized, "openflow app add 9998 --kind partner"},
		"an app without a role":           {dialect.SiteSigned, `{"code":5004,"message":"Authentication Failed: app_id[40172236, path[/v2/partner/task/collect, method[POST]]]"}`, openflow.CodeUnauthorized, "flow permission grant --app-id 40172236 -r site"},
		"standalone":                      {dialect.Unsigned, `{"code":3000,"message":"Site is standalone"}`, openflow.CodeUnimplemented, "federated_mode"},
		"broken":                          {dialect.Unsigned, `{"code":6000,"message":"OperationalError"}`, openflow.CodeInternal, "OperationalError"},
		"a page":                          {dialect.Unsigned, `<html>502 Bad Gateway</html>`, openflow.CodeUnavailable, "a router does that knows no such party"},
		"an openflow node says why": {dialect.SiteSigned, `{"code":5002,"message":"No found appid: app_id[1]","error":{"code":"unauthorized","subject":"app","message":"No found appid","hint":"openflow app add PARTY --kind site"}}`,
			openflow.CodeUnauthorized, "openflow app add PARTY --kind site"},
	} {
		t.Run(name, func(t *testing.T) {
			there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				require.Equal(t, asked, r.URL.Path)
				_, _ = io.WriteString(w, tc.answer)
			}))
			defer there.Close()
			c := Dialect{}.Client(peer.Link{
				Self: "9999", Peer: "9998", URL: there.URL, Profile: tc.profile, HTTP: there.Client(), Signer: noSigner{},
				App: func(context.Context) (openflow.App, string, error) {
					return openflow.App{ID: "40172236"}, "AbCdEfGhIjKlMnOp", nil
				},
			})
			seen, err := c.Examine(t.Context(), true)
			require.Equal(t, tc.code != openflow.CodeUnavailable, seen.Answered)
			require.True(t, seen.Timed || tc.code == openflow.CodeUnavailable)
			require.NoError(t, seen.CallBack)
			if tc.code == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, tc.code, openflow.CodeOf(err), err)
			require.ErrorContains(t, err, tc.says)
			require.ErrorContains(t, err, "party 9998")
		})
	}
}
