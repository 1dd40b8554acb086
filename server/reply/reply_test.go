package reply_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

func TestBody(t *testing.T) {
	request := func(body io.Reader) *http.Request { return httptest.NewRequest(http.MethodPost, "/", body) }
	b, err := reply.Body(request(strings.NewReader("12345")), 5)
	require.NoError(t, err)
	require.Equal(t, "12345", string(b))
	_, err = reply.Body(request(strings.NewReader("123456")), 5)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorContains(t, err, "larger than 5 bytes")
	var above *http.MaxBytesError
	require.ErrorAs(t, err, &above)
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
