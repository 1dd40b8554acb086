package s3_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/objects/s3"
	"openflow/tests/fuzzing"
)

func TestParseURL(t *testing.T) {
	for text, want := range map[string]s3.Options{
		"s3://key:secret@localhost:9000/my-bucket/a/b?region=eu-1&tls=false": {
			Endpoint: "localhost:9000", Plain: true, Region: "eu-1", Bucket: "my-bucket", Prefix: "a/b", AccessKey: "key", SecretKey: "secret"},
		"s3://s3.eu-central-1.amazonaws.com/my-bucket/": {Endpoint: "s3.eu-central-1.amazonaws.com", Bucket: "my-bucket"},
		"s3://k:a%2Fb%40c%3Ad@[::1]:9000/my-bucket?tls=true": {
			Endpoint: "[::1]:9000", Bucket: "my-bucket", AccessKey: "k", SecretKey: "a/b@c:d"},
	} {
		got, err := s3.ParseURL(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
}

func TestParseURLRefuses(t *testing.T) {
	for text, say := range map[string]string{
		"":                              "not an s3:// URL",
		"https://h/bucket":              "not an s3:// URL",
		"s3:/h/bucket":                  "not an s3:// URL",
		"s3://k:hid/den@h/bucket":       "not an s3:// URL",
		"s3://k:0/hidden@h/bucket":      "@ or #",
		"s3://k:0#hidden@h/bucket":      "@ or #",
		"s3://k:hid@den@h/bucket":       "@ or #",
		"s3://k@h/bucket":               "without a secret",
		"s3://:hidden@h/bucket":         "without a key",
		"s3:///bucket":                  "HOST",
		"s3://h":                        "bucket",
		"s3://h/BUCKET":                 "bucket",
		"s3://h/b":                      "bucket",
		"s3://h/bucket//x":              "prefix",
		"s3://h/bucket/../x":            "prefix",
		"s3://h/bucket/a b":             "prefix",
		"s3://h/bucket?tls=maybe":       "tls",
		"s3://h/bucket?region=a&region": "more than once",
		"s3://h/bucket?regoin=a":        "regoin",
		"s3://h/bucket?a;b":             "cannot be read",
	} {
		_, err := s3.ParseURL(text)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), text)
		require.ErrorContains(t, err, say, text)
		require.NotContains(t, err.Error(), "hidden")
	}
}

func TestOptionsDoNotShowTheSecret(t *testing.T) {
	o, err := s3.ParseURL("s3://key:hidden-word@h/bucket/x")
	require.NoError(t, err)
	require.Equal(t, "s3://h/bucket/x", fmt.Sprint(o))
	text, err := json.Marshal(o)
	require.NoError(t, err)
	for _, shown := range []string{fmt.Sprintf("%+v", o), o.String(), string(text)} {
		require.NotContains(t, shown, "hidden-word")
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{
		"s3://key:hidden-word@localhost:9000/my-bucket/a/b?region=eu-1&tls=false", "s3://h/bucket", "s3://[::1/bucket",
		"s3://k:hidden-word@h/bucket/../x", "s3://k:hidden-word@/bucket?x", "s3://k:0/:hidden-word@h/bucket",
	} {
		f.Add(s)
	}
	fuzzing.Within(f, func(t *testing.T, s string) {
		o, err := s3.ParseURL(s)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			if strings.Count(s, "hidden-word") == 1 && strings.Contains(s, ":hidden-word@") {
				require.NotContains(t, err.Error(), "hidden-word")
			}
			return
		}
		require.NotContains(t, o.Prefix, "..")
		require.NotContains(t, o.Bucket, "/")
		require.Equal(t, o.AccessKey == "", o.SecretKey == "")
		scheme := "s3://"
		again, err := s3.ParseURL(scheme + strings.TrimPrefix(o.String(), scheme))
		require.NoError(t, err)
		require.Equal(t, [3]string{o.Endpoint, o.Bucket, o.Prefix}, [3]string{again.Endpoint, again.Bucket, again.Prefix})
	})
}
