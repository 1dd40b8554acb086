package redis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/fuzzing"
)

func TestRecord(t *testing.T) {
	for _, r := range []record{
		{sequence: 1, cost: 256, object: noObject},
		{sequence: 1 << 40, cost: 1 << 30, object: strings.Repeat("a", 64), source: "9999", id: "x"},
		{sequence: 7, cost: 300, object: noObject, source: "1 2:\n\x00\xff", id: " \n:\x00\xfe "},
	} {
		got, err := parseRecord("000000001:" + fmt.Sprint(r.sequence) + ":" + r.header())
		require.NoError(t, err)
		require.Equal(t, r, got)
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add("000000001:0000000000000001:256 - 4 9999id")
	f.Add("000000001:0000000000000001:256 - 5 9999")
	f.Add("::  0 ")
	fuzzing.Within(f, func(t *testing.T, member string) {
		r, err := parseRecord(member)
		if err != nil {
			require.Equal(t, openflow.CodeInternal, openflow.CodeOf(err))
			return
		}
		again, err := parseRecord("1:" + fmt.Sprint(r.sequence) + ":" + r.header())
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}
