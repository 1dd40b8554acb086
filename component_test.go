package openflow_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/fuzzing"
)

func TestProtocolsAreWrittenAndRead(t *testing.T) {
	for text, want := range map[string]openflow.Protocol{
		"": {}, "acme/psi@1.4": {Name: "acme/psi", Version: "1.4"}, "ecdh-psi@2+draft": {Name: "ecdh-psi", Version: "2+draft"},
	} {
		got, err := openflow.ParseProtocol(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		require.Equal(t, text, got.String())
	}
	for _, text := range []string{"psi", "@1", "psi@", "a b@1", "a//b@1", "/a@1", "a@1@2", "a@\x1b", "ä@1", strings.Repeat("a", 129) + "@1", "a@" + strings.Repeat("1", 65),
		strings.Repeat("a/", 120) + "a@1"} {
		_, err := openflow.ParseProtocol(text)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%q", text)
	}
}

// What a component speaks that names no protocol goes by its program's version, as far as the second number.
func TestOwnProtocol(t *testing.T) {
	for version, want := range map[string]string{
		"1.4.2": "1.4", "1.4.7": "1.4", "1.5.0": "1.5", "1.4": "1.4", "1": "1", "1.4.2-rc1": "1.4", "dev": "dev", "v1.4.2": "v1.4.2", "1.x.2": "1.x.2",
	} {
		p := openflow.OwnProtocol(openflow.ProviderRef{Name: "acme", Version: version}, "psi")
		require.Equal(t, openflow.Protocol{Name: "acme/psi", Version: want}, p)
		require.NoError(t, p.Check())
	}
}

func TestInCommon(t *testing.T) {
	p := func(names ...string) (list []openflow.Protocol) {
		for _, n := range names {
			list = append(list, openflow.Protocol{Name: n, Version: "1"})
		}
		return list
	}
	for name, tc := range map[string]struct {
		lists [][]openflow.Protocol
		want  string
		ok    bool
	}{
		"nobody":                {nil, "", true},
		"one":                   {[][]openflow.Protocol{p("a", "b")}, "a@1", true},
		"the first one's first": {[][]openflow.Protocol{p("a", "b"), p("b", "a")}, "a@1", true},
		"in all":                {[][]openflow.Protocol{p("a", "b", "c"), p("c", "b"), p("b")}, "b@1", true},
		"none in all":           {[][]openflow.Protocol{p("a", "b"), p("b", "c"), p("c", "a")}, "", false},
		"all are alone":         {[][]openflow.Protocol{nil, p()}, "", true},
		"the first is alone":    {[][]openflow.Protocol{nil, p("a")}, "", false},
		"the second is alone":   {[][]openflow.Protocol{p("a"), nil}, "", false},
	} {
		got, ok := openflow.InCommon(tc.lists...)
		require.Equal(t, tc.ok, ok, name)
		require.Equal(t, tc.want, got.String(), name)
	}
}

func FuzzParseProtocol(f *testing.F) {
	for _, text := range []string{"", "acme/psi@1", "a@b@c", "/@"} {
		f.Add(text)
	}
	fuzzing.Within(f, func(t *testing.T, text string) {
		p, err := openflow.ParseProtocol(text)
		if err != nil {
			return
		}
		require.Equal(t, text, p.String())
	})
}
