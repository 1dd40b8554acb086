package wire_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

func TestHeardKeepsWhatIsShort(t *testing.T) {
	require.Equal(t, "no table", wire.Heard("no table"))
	e := wire.Failure(openflow.Refusal([]openflow.Mistake{
		{Code: openflow.CodeInvalid, Party: "9999", Path: "dag.a", Message: "m", Remedy: "r"}, {Code: openflow.CodeNotFound, Message: "n"},
	}))
	require.Equal(t, e, e.Heard())
	require.Equal(t, wire.Envelope{}, wire.Envelope{}.Heard())
}

// A peer writes what it likes. An error made of it has few kilobytes, and one that counts.
func TestHeardBoundsEveryText(t *testing.T) {
	big := strings.Repeat("ü", 3<<20)
	mistakes := make([]wire.Mistake, 5000)
	for i := range mistakes {
		mistakes[i] = wire.Mistake{Code: big, Subject: big, Party: big, Path: big, Message: big, Remedy: big}
	}
	for name, e := range map[string]wire.Envelope{
		"numbered only":       {Code: wire.InvalidParameter, Message: big},
		"structured":          {Code: wire.InvalidParameter, Message: big, Error: &wire.Problem{Code: "invalid", Subject: big, Party: big, Message: big, Hint: big}},
		"with mistakes":       {Code: wire.InvalidParameter, Message: big, Error: &wire.Problem{Code: "invalid", Message: big, Hint: big, Mistakes: mistakes}},
		"with a code made up": {Code: wire.InvalidParameter, Message: big, Error: &wire.Problem{Code: big, Message: big}},
	} {
		t.Run(name, func(t *testing.T) {
			err := e.Heard().Err()
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			require.Less(t, len(fmt.Sprintf("%#v", err)), 40<<10)
			require.True(t, utf8.ValidString(err.Error()))
			require.LessOrEqual(t, len(openflow.MistakesOf(err)), openflow.MaxMistakes)
			for _, m := range openflow.MistakesOf(err) {
				require.Equal(t, openflow.CodeInvalid, m.Code)
			}
		})
	}
}
