package redisdb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/redisdb"
	"openflow/store/redisdb/redistest"
)

func TestOpen(t *testing.T) {
	plain := redistest.Start(t)
	evicting := redistest.Start(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	guarded := redistest.Start(t, "--requirepass", "secret-word")
	for name, test := range map[string]struct {
		url  string
		code openflow.Code // empty: succeeds
		text string
	}{
		"plain":             {url: plain.URL()},
		"with its password": {url: "unix://:secret-word@" + guarded.URL()[len("unix://"):]},
		"evicting":          {evicting.URL(), openflow.CodeInvalid, "noeviction"},
		"no password":       {guarded.URL(), openflow.CodePermission, "user and password"},
		"wrong password":    {"unix://:wrong-word@" + guarded.URL()[len("unix://"):], openflow.CodePermission, "user and password"},
		"no server":         {"redis://:wrong-word@127.0.0.1:1/0", openflow.CodeUnavailable, "127.0.0.1:1"},
		"not a URL":         {"redis://:wrong-word@host:port/0", openflow.CodeInvalid, "redis://user:password@host"},
		"another scheme":    {"http://:wrong-word@host/0", openflow.CodeInvalid, "http"},
		"no database":       {"redis://:wrong-word@host/x", openflow.CodeInvalid, "database"},
		"unknown option":    {"redis://:wrong-word@host/0?nonsense=1", openflow.CodeInvalid, "nonsense"},
	} {
		client, err := redisdb.Open(t.Context(), test.url)
		if test.code == "" {
			require.NoError(t, err, name)
			require.NoError(t, client.Close(), name)
			continue
		}
		require.Equal(t, test.code, openflow.CodeOf(err), "%s: %v", name, err)
		require.ErrorContains(t, err, test.text, name)
		require.NotContains(t, err.Error(), "-word", "%s: a password is shown", name)
	}
}

// answer is what a server says.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

func TestFailure(t *testing.T) {
	ours := openflow.Errorf(openflow.CodeConflict, "ours")
	for name, test := range map[string]struct {
		err  error
		code openflow.Code
	}{
		"ours":            {fmt.Errorf("wrapped: %w", ours), openflow.CodeConflict},
		"canceled":        {context.Canceled, openflow.CodeCanceled},
		"deadline":        {context.DeadlineExceeded, openflow.CodeDeadline},
		"connection ends": {io.EOF, openflow.CodeUnavailable},
		"no connection":   {redis.ErrPoolTimeout, openflow.CodeUnavailable},
		"script runs":     {answer("BUSY Redis is busy running a script."), openflow.CodeUnavailable},
		"disk is full":    {fmt.Errorf("push: %w", answer("MISCONF Redis is configured to save RDB snapshots")), openflow.CodeUnavailable},
		"group exists":    {answer("BUSYGROUP Consumer Group name already exists"), openflow.CodeInternal},
		"anything":        {errors.New("BUSY x"), openflow.CodeInternal},
	} {
		require.Equal(t, test.code, openflow.CodeOf(redisdb.Failure("doing", test.err)), name)
	}
	require.NoError(t, redisdb.Failure("doing", nil))
}

// The texts of a real server, by itself and out of a script.
func TestFailureOfServer(t *testing.T) {
	server := redistest.Start(t, "--maxmemory", "1", "--maxmemory-policy", "noeviction", "--busy-reply-threshold", "1")
	client, err := redisdb.Open(t.Context(), server.URL())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	for name, err := range map[string]error{
		"command": client.Set(t.Context(), "k", "v", time.Minute).Err(),
		"script":  client.Eval(t.Context(), "return redis.call('SET', KEYS[1], 'v')", []string{"k"}).Err(),
		"flags":   client.Eval(t.Context(), "#!lua\nreturn redis.call('SET', KEYS[1], 'v')", []string{"k"}).Err(),
	} {
		require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(redisdb.Failure("doing", err)), "%s: %v", name, err)
	}
	require.Equal(t, openflow.CodeInternal, openflow.CodeOf(redisdb.Failure("doing", client.Do(t.Context(), "NONSENSE").Err())))
	server.Kill(t)
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(redisdb.Failure("doing", client.Ping(t.Context()).Err())))
}

func TestDefaultPrefix(t *testing.T) {
	require.Equal(t, "openflow:9999:", redisdb.DefaultPrefix("9999"))
}
