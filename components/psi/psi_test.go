package psi_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/psi"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
	"openflow/tests/fuzzing"
)

var (
	guest  = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host   = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	second = openflow.Party{Role: openflow.RoleHost, ID: "10001"}
)

// table makes a frame whose one feature is the row number, so that a row can be recognised. Ids are "sample=match".
func table(prefix string, withLabel bool, ids ...string) *tables.Frame {
	f := &tables.Frame{Schema: tables.Schema{SampleID: prefix + "_sid", MatchID: "id",
		Features: []tables.Column{{Name: prefix + "_row", DType: tables.Float64}}}}
	rows := make([]float64, len(ids))
	labels := make([]int64, len(ids))
	for i, id := range ids {
		sample, match, _ := strings.Cut(id, "=")
		f.SampleID, f.MatchID = append(f.SampleID, sample), append(f.MatchID, match)
		rows[i], labels[i] = float64(i), int64(i%2)
	}
	f.Features = []tables.Vector{tables.NewFloats(tables.Float64, rows)}
	if withLabel {
		f.Schema.Label = &tables.Column{Name: "y", DType: tables.Int32}
		f.Label = tables.NewInts(tables.Int32, labels)
	}
	return f
}

func newCase(inputs map[openflow.Party]*tables.Frame) componenttest.Case {
	c := componenttest.Case{Component: psi.Component(), Inputs: map[openflow.Party]componenttest.Inputs{}, Timeout: 3 * time.Minute, Cores: 2}
	for _, p := range []openflow.Party{guest, host, second} {
		if f, ok := inputs[p]; ok {
			c.Parties = append(c.Parties, p)
			c.Inputs[p] = componenttest.Inputs{Data: map[string]*tables.Frame{"input_data": f}}
		}
	}
	return c
}

// rows renders a result for comparison: "sample=match row".
func rows(f *tables.Frame) []string {
	list := []string{}
	for i := range f.Rows() {
		list = append(list, fmt.Sprintf("%s=%s %v", f.SampleID[i], f.MatchID[i], f.Features[0].Floats[i]))
	}
	return list
}

func TestIntersection(t *testing.T) {
	tests := map[string]struct {
		inputs map[openflow.Party]*tables.Frame
		policy func(*openflow.Policy) // nil: the default
		want   map[openflow.Party][]string
	}{
		"partial overlap, other order": {
			inputs: map[openflow.Party]*tables.Frame{
				guest: table("g", true, "s3=c", "s1=a", "s2=b", "s9=only-guest"),
				host:  table("h", false, "0=only-host", "1=b", "2=c", "3=a"),
			},
			want: map[openflow.Party][]string{
				guest: {"s1=a 1", "s2=b 2", "s3=c 0"},
				host:  {"s1=a 3", "s2=b 1", "s3=c 2"},
			},
		},
		"repeated ids at the guest stay": {
			inputs: map[openflow.Party]*tables.Frame{
				guest: table("g", true, "3=a", "2=b", "1=a", "0=a"),
				host:  table("h", false, "0=b", "1=a"),
			},
			want: map[openflow.Party][]string{
				guest: {"0=a 3", "1=a 2", "2=b 1", "3=a 0"},
				host:  {"0=a 1", "1=a 1", "2=b 0", "3=a 1"},
			},
		},
		"ids are compared byte by byte": {
			inputs: map[openflow.Party]*tables.Frame{
				guest: table("g", true, "1=A", "2=b ", "3=é", "4="),
				host:  table("h", false, "1=a", "2=b", "3=é", "4="),
			},
			want: map[openflow.Party][]string{guest: {"3=é 2", "4= 3"}, host: {"3=é 2", "4= 3"}},
		},
		"sample ids sort as text": {
			inputs: map[openflow.Party]*tables.Frame{
				guest: table("g", true, "2=a", "10=b", "1=c"),
				host:  table("h", false, "0=a", "1=b", "2=c"),
			},
			want: map[openflow.Party][]string{guest: {"1=c 2", "10=b 1", "2=a 0"}, host: {"1=c 2", "10=b 1", "2=a 0"}},
		},
		"two hosts: only what all have": {
			inputs: map[openflow.Party]*tables.Frame{
				guest:  table("g", true, "1=a", "2=b", "3=c", "4=d"),
				host:   table("h", false, "0=d", "1=b", "2=a"),
				second: table("k", false, "0=b", "1=c", "2=d"),
			},
			want: map[openflow.Party][]string{
				guest: {"2=b 1", "4=d 3"}, host: {"2=b 1", "4=d 0"}, second: {"2=b 0", "4=d 2"},
			},
		},
	}
	for name, tc := range tests {
		for _, bucket := range []int{1 << 17, 2} {
			t.Run(fmt.Sprintf("%s/%d rows in memory", name, bucket), func(t *testing.T) {
				defer psi.SetBucketRows(bucket)()
				c := newCase(tc.inputs)
				if tc.policy != nil {
					p := openflow.DefaultPolicy()
					tc.policy(&p)
					c.Policies = map[openflow.Party]openflow.Policy{guest: p, host: p}
				}
				r := componenttest.RunOK(t, c)
				for party, want := range tc.want {
					got := r.Table(party, "output_data")
					require.Equal(t, want, rows(got), "rows of %s", party)
					in := tc.inputs[party]
					require.Equal(t, in.Schema.Names(), got.Schema.Names(), "columns of %s", party)
					for i := range got.Rows() {
						if in.Schema.Label != nil {
							require.Equal(t, in.Label.Ints[int(got.Features[0].Floats[i])], got.Label.Ints[i], "label follows its row")
						}
					}
					checkMetrics(t, r, party, in.Rows(), len(want))
				}
			})
		}
	}
}

func checkMetrics(t *testing.T, r *componenttest.Result, party openflow.Party, input, intersection int) {
	t.Helper()
	summary := r.MetricsNamed(party, "summary")
	require.Len(t, summary, 1)
	require.Nil(t, summary[0].Type)
	require.Equal(t, []component.Group{{Name: "default"}}, summary[0].Groups)
	rate := strconv.FormatFloat(float64(intersection)/float64(input), 'g', -1, 64)
	require.JSONEq(t, fmt.Sprintf(`{"input_count":%d,"intersect_count":%d,"intersect_rate":%s,"method":"curve25519","curve":"P-256"}`,
		input, intersection, rate), string(summary[0].Data))
	count := r.MetricsNamed(party, "intersect_id_count")
	require.Len(t, count, 1)
	require.Equal(t, "custom", *count[0].Type)
	require.JSONEq(t, fmt.Sprintf(`{"intersect_count":%d}`, intersection), string(count[0].Data))
}

func TestRefusals(t *testing.T) {
	good := func() map[openflow.Party]*tables.Frame {
		return map[openflow.Party]*tables.Frame{guest: table("g", true, "1=a"), host: table("h", false, "1=a")}
	}
	tests := map[string]struct {
		change     func(map[openflow.Party]*tables.Frame)
		parameters map[string]any
		want       map[openflow.Party]string
	}{
		"repeated ids at a host": {
			change: func(in map[openflow.Party]*tables.Frame) { in[host] = table("h", false, "1=a", "2=secret", "3=secret") },
			want: map[openflow.Party]string{
				guest: "duplicate match_id detect: host 10000 has 1 rows", host: "duplicate match_id detect: host 10000 has 1 rows",
			},
		},
		"no rows at the guest": {
			change: func(in map[openflow.Party]*tables.Frame) { in[guest] = table("g", true) },
			want:   map[openflow.Party]string{guest: "input of guest 9999 has no rows", host: "input of guest 9999 has no rows"},
		},
		"no rows at a host": {
			change: func(in map[openflow.Party]*tables.Frame) { in[host] = table("h", false) },
			want:   map[openflow.Party]string{guest: "input of host 10000 has no rows", host: "input of host 10000 has no rows"},
		},
		"unknown protocol": {
			parameters: map[string]any{"protocol": "rsa_psi"},
			want:       map[openflow.Party]string{guest: "PSI protocol=rsa_psi does not implemented yet", host: "PSI protocol=rsa_psi"},
		},
		"unknown curve": {
			parameters: map[string]any{"curve_type": "sm2"},
			want:       map[openflow.Party]string{guest: `curve_type "sm2" is not known`, host: `curve_type "sm2" is not known`},
		},
		"no id in common": {
			change: func(in map[openflow.Party]*tables.Frame) { in[host] = table("h", false, "1=secret") },
			want: map[openflow.Party]string{
				guest: "host 10000 ends the intersection: the parties have no id in common", host: "the parties have no id in common (see that the match ids",
			},
		},
		"no host": {
			change: func(in map[openflow.Party]*tables.Frame) { delete(in, host) },
			want:   map[openflow.Party]string{guest: "1 guests and 0 hosts"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inputs := good()
			if tc.change != nil {
				tc.change(inputs)
			}
			c := newCase(inputs)
			c.Parameters = tc.parameters
			r := componenttest.Run(t, c)
			for party, want := range tc.want {
				got := r.Parties[party]
				require.Equal(t, openflow.TaskFailed, got.Status)
				require.Contains(t, got.Error, want)
				require.NotContains(t, got.Error, "secret", "an error message travels to other parties and must not name an id")
				require.Empty(t, r.Tables(party, "output_data"))
			}
		})
	}
}

func TestCurveNames(t *testing.T) {
	for _, name := range []any{"curve25519", "P-256", "p256", nil} {
		c := newCase(map[openflow.Party]*tables.Frame{guest: table("g", true, "1=a"), host: table("h", false, "7=a")})
		c.Parameters = map[string]any{"curve_type": name}
		r := componenttest.RunOK(t, c)
		require.Equal(t, []string{"1=a 0"}, rows(r.Table(guest, "output_data")))
	}
}

// What crosses the parties' border: no id in the clear but the guest's sample ids of the intersection, and nothing that
// links one run with another.
func TestMessagesHideIDs(t *testing.T) {
	var guestRows, hostRows []string
	for i := range 40 {
		guestRows = append(guestRows, fmt.Sprintf("guest-sample-%d=guest-only-%d", i, i))
		hostRows = append(hostRows, fmt.Sprintf("host-sample-%d=host-only-%d", i, i))
	}
	guestRows, hostRows = append(guestRows, "shared-sample=shared"), append(hostRows, "x=shared")
	run := func() []componenttest.Message {
		c := newCase(map[openflow.Party]*tables.Frame{guest: table("g", true, guestRows...), host: table("h", false, hostRows...)})
		return componenttest.RunOK(t, c).Messages()
	}
	one, two := run(), run()
	points := map[string]bool{}
	for _, m := range one {
		for _, secret := range []string{"guest-only", "host-only", "guest-sample", "host-sample", "shared"} {
			if strings.HasSuffix(m.Topic, "~matches") && secret == "shared" {
				continue // the sample id "shared-sample" is what the host has to learn
			}
			require.NotContains(t, string(m.Payload), secret, "message of topic %s", m.Topic)
		}
		for _, p := range entries(m) {
			require.False(t, points[p], "a blinded id is sent twice")
			points[p] = true
		}
	}
	require.Len(t, points, 4*41+4, "two lists of points and two of tags, and a question and an answer each way")
	for _, m := range two {
		for _, p := range entries(m) {
			require.False(t, points[p], "a blinded id of one run occurs in another")
		}
	}
}

// entries cuts a list of points or tags into its entries, without the kit's first byte.
func entries(m componenttest.Message) []string {
	size := map[string]int{"guest_points": 33, "host_points": 33, "guest_tags": 16, "counts": 16, "question": 33, "answer": 33}[m.Topic[strings.LastIndex(m.Topic, "~")+1:]]
	var list []string
	if size > 0 {
		for chunk := range slices.Chunk(m.Payload[1:], size) {
			list = append(list, string(chunk))
		}
	}
	return list
}

// The position of an id in a message must not be its row: the same table sent twice comes in two orders. The order is
// visible to the test through the matches, which name positions.
func TestOrderIsSecret(t *testing.T) {
	var all []string
	for i := range 64 {
		all = append(all, fmt.Sprintf("%03d=id-%d", i, i))
	}
	positions := func() []int {
		c := newCase(map[openflow.Party]*tables.Frame{guest: table("g", true, all...), host: table("h", false, all...)})
		for _, m := range componenttest.RunOK(t, c).Messages() {
			if strings.HasSuffix(m.Topic, "~matches") && len(m.Payload) > 1 {
				p, _, err := psi.DecodeMatches(m.Payload[1:], len(all))
				require.NoError(t, err)
				return p
			}
		}
		return nil
	}
	first := positions()
	require.Len(t, first, len(all))
	require.False(t, slices.IsSorted(first))
	require.NotEqual(t, first, positions())
}

func TestSurvivesFaults(t *testing.T) {
	c := newCase(map[openflow.Party]*tables.Frame{guest: table("g", true, "1=a", "2=b"), host: table("h", false, "7=b", "8=a")})
	c.Faults = []componenttest.Fault{
		{Path: "/v1/interconn/chan/push", Kind: componenttest.DropReply, From: 2, Every: 3},
		{Path: "/v1/interconn/chan/pop", Kind: componenttest.Unavailable, From: 1, Every: 4},
	}
	r := componenttest.RunOK(t, c)
	require.Equal(t, []string{"1=a 1", "2=b 0"}, rows(r.Table(host, "output_data")))
}

func FuzzDecodeMatches(f *testing.F) {
	f.Add(psi.EncodeMatches([]int{3, 0, 200}, []string{"a", "", "sample"}), 201)
	f.Add([]byte{0x80}, 1)
	f.Add([]byte{0, 5, 'a'}, 1)
	fuzzing.Within(f, func(t *testing.T, data []byte, number int) {
		limit := number & 0xffff
		positions, samples, err := psi.DecodeMatches(data, limit)
		if err != nil {
			return
		}
		for _, p := range positions {
			require.True(t, p >= 0 && p < limit)
		}
		again, samples2, err := psi.DecodeMatches(psi.EncodeMatches(positions, samples), limit)
		require.NoError(t, err)
		require.Equal(t, positions, again)
		require.Equal(t, samples, samples2)
	})
}

func TestBreastHetero(t *testing.T) {
	g, h := breast(t, "breast_hetero_guest.csv"), breast(t, "breast_hetero_host.csv")
	r := componenttest.RunOK(t, newCase(map[openflow.Party]*tables.Frame{guest: g, host: h}))
	require.Equal(t, 569, r.Table(guest, "output_data").Rows())
	got := r.Table(host, "output_data")
	require.Equal(t, r.Table(guest, "output_data").SampleID, got.SampleID)
	require.Equal(t, r.Table(guest, "output_data").MatchID, got.MatchID)
	checkMetrics(t, r, guest, 569, 569)
}

// breast reads one of the two files, its row numbers as sample ids. Features become one column, which is all that the
// intersection cares about.
func breast(t *testing.T, name string) *tables.Frame {
	t.Helper()
	folder := os.Getenv("OPENFLOW_TEST_DATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "data")
	}
	raw, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Skipf("no data set %s; set OPENFLOW_TEST_DATA to its folder", name)
	}
	lines, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	require.NoError(t, err)
	var ids []string
	for i, line := range lines[1:] {
		ids = append(ids, fmt.Sprintf("%d=%s", i, line[0]))
	}
	return table("b", false, ids...)
}

func BenchmarkIntersect(b *testing.B) {
	const n = 20_000
	var g, h []string
	for i := range n {
		g = append(g, fmt.Sprintf("%d=id-%08d", i, i))
		h = append(h, fmt.Sprintf("%d=id-%08d", i, i+n/3))
	}
	for b.Loop() {
		componenttest.RunOK(b, newCase(map[openflow.Party]*tables.Frame{guest: table("g", true, g...), host: table("h", false, h...)}))
	}
	b.ReportMetric(float64(2*n*b.N)/b.Elapsed().Seconds(), "ids/s")
}
