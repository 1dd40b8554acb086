package origin_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/server/origin"
)

// The system tells whose program is at the other end of a connection, of IPv4 and IPv6, and nothing of one that has closed.
func TestOwnerOf(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			require.Contains(t, address, "::1", err)
			t.Log("this machine has no IPv6: ", err)
			continue
		}
		type told struct {
			uid   int
			known bool
		}
		answers, look := make(chan told), make(chan struct{})
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-look
			uid, known := origin.Owner(r)
			answers <- told{uid, known}
		}))
		require.NoError(t, srv.Listener.Close())
		srv.Listener = l
		srv.Start()
		conn, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		look <- struct{}{}
		require.Equal(t, told{os.Geteuid(), true}, <-answers)
		_, err = http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)

		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		look <- struct{}{}
		require.False(t, (<-answers).known, "the kernel lists it with user 0")
		srv.Close()
	}
	uid, known := origin.Owner(httptest.NewRequest(http.MethodGet, "/", nil))
	require.False(t, known, uid)
}
