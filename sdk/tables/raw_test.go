package tables_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/tables"
)

// What is kept with a raw table reads the file again as it was read the first time.
func TestARawTableIsReadAgain(t *testing.T) {
	for name, c := range map[string]struct {
		meta, file string
		head       bool
		kept       string
		text       string // as it is downloaded
	}{
		"a header":    {`{"match_id_name":"id","label_name":null}`, "x,id\n1,a\n", true, `{"match_id_name":"id","head":true,"extend_sid":false,"header":"sample_id,id,x"}`, "x,id\n1,a\n"},
		"none":        {`{"match_id_name":"id","header":"x,id"}`, "1,a\n", false, `{"match_id_name":"id","header":"x,id","head":false,"extend_sid":false}`, "x,id\n1,a\n"},
		"semicolons":  {`{"match_id_name":"id","header":["x","id"],"delimiter":";"}`, "1;a\n", false, `{"match_id_name":"id","header":["x","id"],"delimiter":";","head":false,"extend_sid":false}`, "x;id\n1;a\n"},
		"made ids":    {`{"match_id_name":"id"}`, "x,id\n1,a\n", true, "", "x,id\n1,a\n"},
		"another one": {`{"match_id_name":"id","encoding":"latin-1"}`, "\xe4,id\n1,\xe4\n", true, `{"match_id_name":"id","encoding":"latin-1","head":true,"extend_sid":false,"header":"sample_id,id,ä"}`, "ä,id\n1,ä\n"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := tables.ParseMeta([]byte(c.meta))
			require.NoError(t, err)
			m.Head, m.ExtendSID = c.head, c.kept == ""
			m = m.Seeded()
			first, err := tables.FromCSV(t.Context(), strings.NewReader(c.file), m, io.Discard)
			require.NoError(t, err)
			kept, err := tables.RawMeta(json.RawMessage(c.meta), m, first)
			require.NoError(t, err)
			if c.kept != "" {
				require.JSONEq(t, c.kept, string(kept))
			}
			again, err := tables.ParseRawMeta(openflow.TypeRaw, kept)
			require.NoError(t, err)
			second, err := tables.FromCSV(t.Context(), strings.NewReader(c.file), again, io.Discard)
			require.NoError(t, err)
			require.Equal(t, first.Schema, second.Schema)
			require.Equal(t, first.Overview, second.Overview)
			var text bytes.Buffer
			header, err := tables.RawText(&text, strings.NewReader(c.file), again)
			require.NoError(t, err)
			require.Equal(t, c.text, text.String())
			require.Len(t, header, 2)
		})
	}
	_, err := tables.ParseRawMeta(openflow.TypeRaw, []byte(`{"sample_id_seed":5}`))
	require.ErrorContains(t, err, "sample_id_seed")
	for dataType, says := range map[string]string{openflow.TypeDataframe: "dataframe already", openflow.TypeDirectory: "a folder of files"} {
		_, err := tables.ParseRawMeta(dataType, []byte("{}"))
		require.ErrorContains(t, err, says)
	}
}

// Whatever a file holds, its text costs in proportion to it.
func FuzzRawText(f *testing.F) {
	for _, file := range []string{"id,x\n1,2\n", "", "\n", "\xff\xfe", "a;b", strings.Repeat(",", 300)} {
		f.Add([]byte(file), true, ";")
	}
	f.Fuzz(func(t *testing.T, file []byte, head bool, delimiter string) {
		var text bytes.Buffer
		header, err := tables.RawText(&text, bytes.NewReader(file), tables.Meta{Head: head, Header: []string{"id"}, Delimiter: delimiter})
		if err != nil {
			return
		}
		require.LessOrEqual(t, text.Len(), 8*len(file)+16)
		require.LessOrEqual(t, len(header), len(file)+1)
	})
}
