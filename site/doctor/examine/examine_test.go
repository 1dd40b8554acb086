package examine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Where a store is, is told without what opens it.
func TestPlaceHasNoSecrets(t *testing.T) {
	for url, want := range map[string]string{
		"": "/home/x",
		"postgres://user:secret@h:5432/db?sslmode=disable": "postgres://h:5432/db",
		"redis://:secret@h/0":                              "redis://h/0",
		"unix:///run/redis.sock":                           "unix:///run/redis.sock",
		"s3://key:secret@h:9000/bucket/path":               "s3://h:9000/bucket/path",
	} {
		require.Equal(t, want, place(url, "/home/x"))
	}
}
