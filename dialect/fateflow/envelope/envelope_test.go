package envelope_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow/envelope"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

var writer = envelope.Writer{Log: slog.New(slog.DiscardHandler)}

// answer is what a client sees of a handler.
func answer(t *testing.T, h reply.Handler) (*httptest.ResponseRecorder, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	writer.JSON(h)(w, httptest.NewRequest(http.MethodGet, "/v2/x", nil))
	require.Equal(t, http.StatusOK, w.Code, "the dialect knows no other status")
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	var m map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &m), "body %q", w.Body)
	return w, m
}

func TestJSON(t *testing.T) {
	for name, tc := range map[string]struct {
		data any
		err  error
		want string
	}{
		"nothing":      {nil, nil, `{"code":0,"message":"success"}`},
		"data":         {map[string]int{"a": 1}, nil, `{"code":0,"message":"success","data":{"a":1}}`},
		"empty list":   {[]int{}, nil, `{"code":0,"message":"success","data":[]}`},
		"job":          {envelope.Answer{Data: 1, JobID: "7"}, nil, `{"code":0,"message":"success","data":1,"job_id":"7"}`},
		"only a job":   {envelope.Answer{JobID: "7"}, nil, `{"code":0,"message":"success","job_id":"7"}`},
		"bare":         {envelope.Bare{Data: map[string]int{"k": 1}}, nil, `{"k":1}`},
		"data and err": {1, openflow.Errorf(openflow.CodeNotFound, "gone"), `{"code":6000,"message":"gone","error":{"code":"not_found","message":"gone"}}`},
		"whole error": {nil, &openflow.Error{
			Code: openflow.CodePermission, Subject: openflow.AboutJob, Party: "9999", Message: "no grant", Hint: "ask", Err: io.EOF,
		}, `{"code":5005,"message":"at party 9999: no grant (ask)","error":{"code":"permission","subject":"job","party":"9999","message":"no grant","hint":"ask"}}`},
		"foreign error": {nil, errors.New("password=secret"), `{"code":6000,"message":"internal error","error":{"code":"internal","message":"internal error"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := answer(t, func(*http.Request) (any, error) { return tc.data, tc.err })
			require.JSONEq(t, tc.want, w.Body.String())
		})
	}
}

func TestDataThatCannotBeEncodedIsAnError(t *testing.T) {
	for name, data := range map[string]any{
		"data": func() {}, "answer": envelope.Answer{Data: func() {}}, "bare": envelope.Bare{Data: func() {}},
	} {
		t.Run(name, func(t *testing.T) {
			_, m := answer(t, func(*http.Request) (any, error) { return data, nil })
			require.Equal(t, float64(wire.ServerException), m["code"])
		})
	}
}

// fate-flow-api §0.2: what is missing or of another type is listed as data, below the place where it is looked for.
func TestWrongFields(t *testing.T) {
	for name, tc := range map[string]struct{ method, kind, body, want string }{
		"missing": {"POST", "application/json", `{"role":"host"}`,
			`{"json":{"job_id":["Missing data for required field."],"party_id":["Missing data for required field."]}}`},
		"wrong":    {"POST", "", `{"role":"host","job_id":[],"party_id":true}`, `{"json":{"job_id":["Not a valid string."],"party_id":["Not a valid string."]}}`},
		"a query":  {"GET", "", `{"role":"host","job_id":1}`, `{"query":{"party_id":["Missing data for required field."]}}`},
		"a form":   {"POST", "multipart/form-data; boundary=x", `{"role":"host","job_id":1}`, `{"form":{"party_id":["Missing data for required field."]}}`},
		"no JSON":  {"POST", "application/json", `{`, ``},
		"all well": {"POST", "application/json", `{"role":"host","job_id":1,"party_id":2}`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			w, r := httptest.NewRecorder(), httptest.NewRequest(tc.method, "/v2/x", nil)
			r.Header.Set("Content-Type", tc.kind)
			writer.JSON(func(*http.Request) (any, error) {
				var ref wire.JobRef
				return nil, wire.Decode([]byte(tc.body), &ref)
			})(w, r)
			var e wire.Envelope
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e))
			if tc.want == "" {
				require.Empty(t, string(e.Data))
				return
			}
			require.Equal(t, wire.InvalidParameter, e.Code)
			require.JSONEq(t, tc.want, string(e.Data))
		})
	}
}

// fate-flow-api §0.4: a number that no code of ours stands for; the code stays beside it.
func TestNumberedFailure(t *testing.T) {
	_, m := answer(t, func(*http.Request) (any, error) {
		return nil, envelope.Numbered{Code: envelope.NoServer, Err: openflow.Errorf(openflow.CodeNotFound, "No found server: server_name[x]")}
	})
	require.Equal(t, 6003.0, m["code"])
	require.Equal(t, "No found server: server_name[x]", m["message"])
	require.Equal(t, "not_found", m["error"].(map[string]any)["code"])
}

func TestOnlyOwnFaultsAreLoud(t *testing.T) {
	for code, loud := range map[openflow.Code]bool{openflow.CodeInternal: true, openflow.CodeInvalid: false, openflow.CodeUnavailable: false} {
		var log strings.Builder
		h := envelope.Writer{Log: slog.New(slog.NewTextHandler(&log, nil))}.JSON(func(*http.Request) (any, error) {
			return nil, &openflow.Error{Code: code, Message: "m", Err: errors.New("the cause")}
		})
		h(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/v2/x", nil))
		require.Equal(t, loud, strings.Contains(log.String(), "the cause"), "code %s", code)
	}
}

func TestNotFoundNamesTheRoute(t *testing.T) {
	w := httptest.NewRecorder()
	writer.Router().ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/v2/nothing", nil))
	require.Contains(t, w.Body.String(), "no route PUT /v2/nothing")
	require.Contains(t, w.Body.String(), `"code":6001`)
}

// The genuine worker posts to /v2//worker/…: a redirect would lose its body.
func TestSlashesAreTolerated(t *testing.T) {
	r := chi.NewRouter()
	v2 := writer.Router()
	v2.Post("/worker/task/status", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = fmt.Fprintf(w, "%s %s %s", b, r.URL.Path, r.URL.Query().Get("q"))
		}
		if err != nil {
			panic(err)
		}
	})
	r.Mount("/v2", v2)
	for _, path := range []string{
		"/v2/worker/task/status", "/v2//worker/task/status", "/v2///worker//task/status", "/v2/worker/task/status/", "/v2//worker/task/status//",
	} {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path+"?q=a%2Fb", strings.NewReader("the body")))
		require.Equal(t, http.StatusOK, w.Code, path)
		require.Equal(t, "the body /v2/worker/task/status a/b", w.Body.String(), path)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v2/worker/task/statusx", nil))
	require.Contains(t, w.Body.String(), "no route")
}
