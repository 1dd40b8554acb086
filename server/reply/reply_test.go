package reply_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// answer is what a client sees of a handler.
func answer(t *testing.T, h reply.Handler) (*httptest.ResponseRecorder, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	reply.JSON(slog.New(slog.DiscardHandler), h)(w, httptest.NewRequest(http.MethodGet, "/v2/x", nil))
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
		"job":          {reply.Answer{Data: 1, JobID: "7"}, nil, `{"code":0,"message":"success","data":1,"job_id":"7"}`},
		"only a job":   {reply.Answer{JobID: "7"}, nil, `{"code":0,"message":"success","job_id":"7"}`},
		"bare":         {reply.Bare{Data: map[string]int{"k": 1}}, nil, `{"k":1}`},
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
		"data": func() {}, "answer": reply.Answer{Data: func() {}}, "bare": reply.Bare{Data: func() {}},
	} {
		t.Run(name, func(t *testing.T) {
			_, m := answer(t, func(*http.Request) (any, error) { return data, nil })
			require.Equal(t, float64(wire.ServerException), m["code"])
		})
	}
}

// fate-flow-api §0.2: what is missing is listed as data.
func TestMissingFields(t *testing.T) {
	w, m := answer(t, func(*http.Request) (any, error) {
		var ref wire.JobRef
		return nil, wire.Decode([]byte(`{"role":"host"}`), &ref)
	})
	require.Equal(t, float64(wire.InvalidParameter), m["code"])
	var e wire.Envelope
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e))
	require.JSONEq(t, `{"json":{"job_id":["Missing data for required field."],"party_id":["Missing data for required field."]}}`, string(e.Data))
}

func TestOnlyOwnFaultsAreLoud(t *testing.T) {
	for code, loud := range map[openflow.Code]bool{openflow.CodeInternal: true, openflow.CodeInvalid: false, openflow.CodeUnavailable: false} {
		var log strings.Builder
		h := reply.JSON(slog.New(slog.NewTextHandler(&log, nil)), func(*http.Request) (any, error) {
			return nil, &openflow.Error{Code: code, Message: "m", Err: errors.New("the cause")}
		})
		h(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/v2/x", nil))
		require.Equal(t, loud, strings.Contains(log.String(), "the cause"), "code %s", code)
	}
}

func TestBody(t *testing.T) {
	request := func(body io.Reader) *http.Request { return httptest.NewRequest(http.MethodPost, "/", body) }
	b, err := reply.Body(request(strings.NewReader("12345")), 5)
	require.NoError(t, err)
	require.Equal(t, "12345", string(b))
	_, err = reply.Body(request(strings.NewReader("123456")), 5)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorContains(t, err, "larger than 5 bytes")
	_, err = reply.Body(request(io.MultiReader(strings.NewReader("1"), broken{})), 5)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))

	var ref wire.JobRef
	require.NoError(t, reply.Decode(request(strings.NewReader(`{"job_id":"1","role":"host","party_id":2,"more":1}`)), &ref))
	require.Equal(t, wire.Text("2"), ref.PartyID)
	endless := io.LimitReader(zeros{}, 1<<40)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(reply.Decode(request(endless), &ref)))
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestNotFoundNamesTheRoute(t *testing.T) {
	w := httptest.NewRecorder()
	reply.NotFound(slog.New(slog.DiscardHandler))(w, httptest.NewRequest(http.MethodPut, "/v2/nothing", nil))
	require.Contains(t, w.Body.String(), "no route PUT /v2/nothing")
	require.Contains(t, w.Body.String(), `"code":6001`)
}
