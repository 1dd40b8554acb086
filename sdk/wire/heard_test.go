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
	require.Equal(t, "no table", openflow.Heard("no table"))
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

// What a peer writes is shown to people, on terminals and pages, beside words of this node.
func TestHeardIsReadable(t *testing.T) {
	for text, want := range map[string]string{
		"所有行都没有标签\nsecond line":                  "所有行都没有标签\nsecond line",
		"\x1b[2J\x1b[31mjob succeeded\x07":       " [2J [31mjob succeeded ",
		"over\rwritten \u0085next\u2028line":     "over written  next line",
		"abc\u202egnp.exe\u2066 x\u2069":         "abcgnp.exe x",
		"cut in the middle \xe4\xb8":             "cut in the middle ",
		strings.Repeat("\x1b", 20<<20):           strings.Repeat(" ", 988) + "... cut, 20971520 bytes; see the log",
		"<script>alert(1)</script> stays a text": "<script>alert(1)</script> stays a text",
	} {
		require.Equal(t, want, openflow.Heard(text))
		e := wire.Envelope{Code: 1, Message: text, Error: &wire.Problem{
			Code: "invalid", Party: text, Subject: text, Message: text, Hint: text, Mistakes: []wire.Mistake{{Code: text, Path: text, Message: text, Remedy: text}},
		}}.Heard()
		for _, word := range []string{
			e.Message, e.Error.Party, e.Error.Subject, e.Error.Message, e.Error.Hint, e.Error.Mistakes[0].Path, e.Error.Mistakes[0].Message,
			e.Error.Mistakes[0].Remedy, openflow.FirstLine(text), wire.FailureCause{Text: text}.Decode().Text,
			wire.EncodeCause(openflow.Cause{Text: text}).Text, wire.JobStopped{Reason: text}.Decode().Reason,
		} {
			require.NotRegexp(t, "[\x00-\x09\x0b-\x1f\x7f-\u009f\u202e\u2028]", word)
			require.True(t, utf8.ValidString(word))
		}
	}
	require.NoError(t, wire.CheckName("user_name", "李 雷"))
	for _, name := range []string{"a\x1b[2J", "a\nb", "a\u202eb", "\xff", strings.Repeat("x", 257)} {
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(wire.CheckName("user_name", name)))
	}
}
