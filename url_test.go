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
