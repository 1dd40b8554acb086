package models_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/server/models"
	"openflow/tests/fuzzing"
)

type member struct{ name, content string }

func packed(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: m.name, Mode: 0o600, Size: int64(len(m.content))}))
		_, err := w.Write([]byte(m.content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func described(name, index string) member {
	return member{name + ".meta.yaml", "model_key: " + name + "\ntype_name: json_model\nindex: " + index + "\n"}
}

// fate-flow-api §3.10: one model is an object, several are a list by their index, whatever the order of the members.
func TestJSONOfAPackage(t *testing.T) {
	for name, tc := range map[string]struct {
		members []member
		want    string
	}{
		"one":                    {[]member{{"json_model", `{"a":1}`}, described("json_model", "null")}, `{"a":1}`},
		"one, the words first":   {[]member{described("json_model", "null"), {"json_model", `{"a":1}`}}, `{"a":1}`},
		"several":                {[]member{{"json_model_1", `1`}, described("json_model_1", "1"), {"json_model_0", `0`}, described("json_model_0", "0")}, `[0,1]`},
		"without words":          {[]member{{"json_model", `{"a":1}`}}, `{"a":1}`},
		"nothing":                {nil, `[]`},
		"words of what is not":   {[]member{described("json_model", "null")}, `[]`},
		"something else beside":  {[]member{{"notes.txt", `no JSON`}, {"json_model", `2`}, described("json_model", "null")}, `2`},
		"a yaml that is no word": {[]member{{"other.yaml", "a: b"}, {"json_model", `3`}}, `3`},
	} {
		t.Run(name, func(t *testing.T) {
			b := packed(t, tc.members...)
			meta, err := models.Meta(bytes.NewReader(b))
			require.NoError(t, err)
			got, err := models.JSON(bytes.NewReader(b), meta, 1<<20)
			require.NoError(t, err)
			require.JSONEq(t, tc.want, string(got))
		})
	}
}

func TestPackagesThatAreNotShown(t *testing.T) {
	meta := []byte(`{"json_model.meta.yaml":{"model_key":"json_model"}}`)
	for name, tc := range map[string]struct {
		body []byte
		code openflow.Code
	}{
		"no tar":     {[]byte(strings.Repeat("x", 1024)), openflow.CodeInternal},
		"no JSON":    {packed(t, member{"json_model", "{"}), openflow.CodeInternal},
		"too large":  {packed(t, member{"json_model", `"` + strings.Repeat("x", 200) + `"`}), openflow.CodeInvalid},
		"broken off": {packed(t, member{"json_model", strings.Repeat("1", 90)})[:560], openflow.CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := models.JSON(bytes.NewReader(tc.body), meta, 100)
			require.Equal(t, tc.code, openflow.CodeOf(err), "%v", err)
		})
	}
}

func TestWordsHaveBounds(t *testing.T) {
	many := make([]member, 30)
	for i := range many {
		many[i] = member{fmt.Sprintf("%d.yaml", i), "a: 1"}
	}
	_, err := models.Meta(bytes.NewReader(packed(t, many...)))
	require.ErrorContains(t, err, "members")
	meta, err := models.Meta(bytes.NewReader(packed(t, member{"long.yaml", "a: " + strings.Repeat("x", 70<<10)})))
	require.NoError(t, err)
	require.JSONEq(t, `{}`, string(meta), "a long one is passed over")
}

func FuzzPackage(f *testing.F) {
	f.Add(packed(f, member{"json_model", `{"a":1}`}, described("json_model", "null")))
	f.Add(packed(f, member{"json_model_0", `1`}, described("json_model_0", "0")))
	f.Add([]byte("x"))
	fuzzing.Within(f, func(t *testing.T, body []byte) {
		meta, err := models.Meta(bytes.NewReader(body))
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		_, _ = models.JSON(bytes.NewReader(body), meta, 1<<20) // it ends, within the bounds
	})
}
