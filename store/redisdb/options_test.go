package redisdb

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/fuzzing"
)

func FuzzOptions(f *testing.F) {
	f.Add("redis://user:password@host:6379/0")
	f.Add("unix:///run/redis.sock?db=1")
	f.Add("rediss://[::1]/?read_timeout=1s")
	f.Add("redis://:p%zz@host")
	f.Add("rediss://host/0?ca=/etc/ca.pem&cert=c&cert_key=k")
	fuzzing.Within(f, func(t *testing.T, url string) {
		o, _, err := options(url)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		require.Equal(t, -1, o.MaxRetries)
		require.NotZero(t, o.ReadTimeout)
	})
}
