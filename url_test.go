package openflow_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestStraySecret(t *testing.T) {
	for text, want := range map[string]bool{
		"s3://host/bucket":                          false,
		"postgres://user:secret@host/db":            false,
		"postgres://user:se%40cret@host/db":         false,
		"postgres://user:se@cret@host/db":           true,
		"postgres://user:se/cret@host/db":           true,
		"postgres://user:se?cret@host/db":           true,
		"postgres://host/db?application_name=a@b":   true,
		"postgres://user:secret@host/db?name=a%40b": false,
	} {
		u, err := url.Parse(text)
		if err != nil {
			continue // its error is what the reader of the URL says
		}
		require.Equal(t, want, openflow.StraySecret(text, u), text)
	}
}

func TestThisMachine(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "localhost.example": false, "127.0.0.1.example": false, "127.1": false,
	} {
		require.Equal(t, want, openflow.ThisMachine(host), host)
	}
}
