package engine_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/docker/engine"
	"openflow/tests/fuzzing"
)

// The tables are as a little-endian Linux writes them.
const (
	routes = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0100A8C0	0003	0	0	0	00000000	0	0	0
eth0	0000A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
tun0	00004D0A	00000000	0001	0	0	0	0000FFFF	0	0	0
bad0	0000A8	00000000	0001	0	0	0	00FFFFFF	0	0	0
bad1	0000A8C0	00000000	0001	0	0	0	FF00FF00	0	0	0
`
	tcp4 = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 10 1 0 100 0 0 10 0
   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   2: 01004D0A:0050 02004D0A:9C40 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0 0 10 0
`
	tcp6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 13
   1: 0000000000000000FFFF000001004D0A:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 14
`
	udp4 = `   sl  local_address rem_address   st
   1: 00000000:0035 00000000:0000 07
   2: short:0035 00000000:0000 07
   3: 00000000:FFFFF 00000000:0000 07
`
)

func TestParseRoutes(t *testing.T) {
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("192.168.0.0/24"), netip.MustParsePrefix("10.77.0.0/16")},
		engine.ParseRoutes(routes))
}

func TestParseListeners(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"tcp":   {tcp4, []string{"0.0.0.0:22", "127.0.0.1:8080"}},
		"tcp6":  {tcp6, []string{"[::]:443", "[::ffff:10.77.0.1]:80"}},
		"udp":   {udp4, []string{"0.0.0.0:53"}},
		"empty": {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, l := range engine.ParseListeners(tc.text) {
				got = append(got, l.String())
			}
			require.Equal(t, tc.want, got)
		})
	}
}

func TestParseLoaded(t *testing.T) {
	for name, tc := range map[string]struct{ answer, ref, err string }{
		"by ID":        {`{"stream":"Loaded image ID: sha256:ab\n"}` + "\n", "sha256:ab", ""},
		"by tag":       {`{"status":"Loading layer","progressDetail":{"current":1}}{"stream":"Loaded image: a/b:1\n"}`, "a/b:1", ""},
		"error":        {`{"errorDetail":{"message":"no space"},"error":"no space"}`, "", "no space"},
		"late error":   {`{"stream":"Loaded image: a\n"}{"errorDetail":{"message":"no space"}}`, "", "no space"},
		"nothing":      {``, "", "loaded nothing"},
		"other text":   {`{"stream":"hello"}`, "", "loaded nothing"},
		"cut":          {`{"stream":"Loaded image: a\n"}{"str`, "", "unexpected EOF"},
		"no reference": {`{"stream":"Loaded image: \n"}`, "", "loaded nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			ref, err := engine.ParseLoaded(strings.NewReader(tc.answer))
			require.Equal(t, tc.ref, ref)
			if tc.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.err)
		})
	}
}

func FuzzParseRoutes(f *testing.F) {
	f.Add(routes)
	fuzzing.Within(f, func(t *testing.T, text string) {
		for _, p := range engine.ParseRoutes(text) {
			require.True(t, p.IsValid())
			require.NotZero(t, p.Bits(), "a default route would make every subnet taken")
			require.Equal(t, p.Masked(), p)
		}
	})
}

func FuzzParseListeners(f *testing.F) {
	for _, seed := range []string{tcp4, tcp6, udp4} {
		f.Add(seed)
	}
	fuzzing.Within(f, func(t *testing.T, text string) {
		for _, l := range engine.ParseListeners(text) {
			require.True(t, l.IsValid())
		}
	})
}

func FuzzParseLoaded(f *testing.F) {
	f.Add(`{"stream":"Loaded image ID: sha256:ab\n"}`)
	f.Add(`{"errorDetail":{"message":"x"}}`)
	f.Add(`{"progressDetail":{"current":1}}{"aux":{"ID":"x"}}`)
	fuzzing.Within(f, func(t *testing.T, text string) {
		ref, err := engine.ParseLoaded(strings.NewReader(text))
		require.Equal(t, err == nil, ref != "", "a reference or an error")
	})
}

func TestMayWriteRules(t *testing.T) {
	for status, may := range map[string]bool{
		"Name:\tx\nCapEff:\t0000000000001000\nCapAmb:\t0000000000001000\n": true,
		"CapAmb:\t000001ffffffffff\n":                                      true,
		"CapEff:\t0000000000001000\nCapAmb:\t0000000000000000\n":           false, // a file's capability is not inherited
		"CapAmb:\t0000000000002000\n":                                      false,
		"CapAmb:\tx\n":                                                     false,
		"":                                                                 false,
	} {
		require.Equal(t, may, engine.MayWriteRules(status), status)
	}
}

// What lets in the answers to this machine's own requests opens nothing to containers.
func TestRulesThatComeBefore(t *testing.T) {
	const jump = "-A INPUT -i ofbr-1 -j OPENFLOW-1"
	for rule, alarms := range map[string]bool{
		"-A INPUT -j ACCEPT":                                            true,
		"-A INPUT -s 10.0.0.0/8 -j ACCEPT":                              true,
		"-A INPUT -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT":     true,
		"-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT": false,
		"-A INPUT -m state --state ESTABLISHED -j ACCEPT":               false,
		"-A INPUT -i lo -j ACCEPT":                                      false,
		"-A INPUT -s 10.0.0.0/8 -j DROP":                                false,
	} {
		require.Equal(t, alarms, engine.ComesBefore([]string{rule, jump}, "ofbr-1", "OPENFLOW-1") != "", rule)
		require.Empty(t, engine.ComesBefore([]string{jump, rule}, "ofbr-1", "OPENFLOW-1"), rule)
	}
}

func TestFiltered(t *testing.T) {
	for _, tc := range []struct {
		options []string
		want    bool
	}{
		{nil, false},
		{[]string{"name=apparmor"}, false},
		{[]string{"name=apparmor", "name=seccomp,profile=default"}, true},
		{[]string{"name=seccomp,profile=builtin", "name=cgroupns"}, true},
		{[]string{"name=seccomp,profile=/etc/docker/own.json"}, true},
		{[]string{"name=seccomp"}, true},
		{[]string{"name=seccomp,profile=unconfined"}, false},
		{[]string{"name=seccompx"}, false},
	} {
		require.Equal(t, tc.want, engine.Filtered(tc.options), "%v", tc.options)
	}
}
