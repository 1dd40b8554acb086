package wire_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

func TestHear(t *testing.T) {
	type inner struct {
		Words string `json:"words" heard:"words"`
		Name  string `json:"name"`
	}
	type form struct {
		inner
		Ref    wire.Text         `json:"ref"`
		List   []inner           `json:"list"`
		Next   *inner            `json:"next"`
		Map    map[string]string `json:"map"`
		Raw    json.RawMessage   `json:"raw"`
		Lines  []string          `json:"lines" heard:"words"`
		Short  *wire.Problem     `json:"short"`
		Number int               `json:"number"`
	}
	long := strings.Repeat("ü", 1<<20)
	f := form{
		inner: inner{Words: long, Name: "n"}, List: []inner{{Words: "short"}, {Words: long}}, Next: &inner{Words: "\x1b[2J"}, Lines: []string{long},
		Raw: json.RawMessage(`"` + long + `"`), Short: &wire.Problem{Message: long},
	}
	cut, err := wire.Hear(&f)
	require.NoError(t, err)
	require.Len(t, cut, 3)
	require.Equal(t, wire.Excess{Field: "words", Text: long}, cut[0])
	for _, text := range []string{f.Words, f.List[1].Words, f.Lines[0]} {
		require.LessOrEqual(t, len(text), openflow.MaxHeard)
		require.True(t, utf8.ValidString(text))
		require.True(t, strings.HasSuffix(text, "... cut, 2097152 bytes; see the log"), text)
	}
	require.Equal(t, "short", f.List[0].Words)
	require.Equal(t, " [2J", f.Next.Words)
	require.Len(t, f.Raw, len(long)+2, "it has a limit of its own")
	require.Equal(t, long, f.Short.Message, "likewise: Problem.Heard")

	for name, f := range map[string]form{
		"ref": {Ref: wire.Text(long)}, "name": {List: []inner{{Name: long}}}, "map": {Map: map[string]string{"a": long}},
	} {
		_, err := wire.Hear(&f)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		require.EqualError(t, err, "invalid request: "+name+" has 2097152 bytes, and 1024 are allowed")
	}
	_, err = wire.Hear(&form{Map: map[string]string{long: ""}})
	require.Error(t, err)
}
