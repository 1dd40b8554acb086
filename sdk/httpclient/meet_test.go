package httpclient_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/sdk/httpclient"
)

// A new connection is met once, before the first request. No request goes over one that is refused.
func TestMeet(t *testing.T) {
	asked, met := 0, 0
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer s.Close()
	refusal := errors.New("it is another one")
	var refuse error
	client := httpclient.New(httpclient.Options{Meet: func(_ context.Context, conn net.Conn) error {
		require.Equal(t, s.Listener.Addr(), conn.RemoteAddr())
		require.Equal(t, 0, asked)
		met++
		return refuse
	}})
	refuse = refusal
	_, err := client.Get(s.URL)
	require.ErrorIs(t, err, refusal)
	require.Zero(t, asked)
	refuse = nil
	for range 2 {
		answer, err := client.Get(s.URL)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
	}
	require.Equal(t, 2, asked)
	require.Equal(t, 2, met, "a connection that is kept is met once")
}
