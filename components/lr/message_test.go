package lr_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/big"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/components/lr/he"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

// What each party receives: nothing in the clear but what docs/algorithms.md lists.
func TestMessagesHideData(t *testing.T) {
	j := creditSet(t, 200, 150)
	for i := range j.guest.SampleID {
		j.guest.SampleID[i] = "sample-" + j.guest.SampleID[i]
	}
	// Every pattern is long enough not to occur in megabytes of ciphertext by chance.
	patterns := [][]byte{[]byte("sample-"), []byte("column-")}
	for _, f := range []*tables.Frame{j.guest, j.host} {
		for i := range f.Schema.Features {
			f.Schema.Features[i].Name = "column-" + f.Schema.Features[i].Name
		}
	}
	r := componenttest.RunOK(t, trainCase(j, quick(nil)))
	for _, f := range []*tables.Frame{j.guest, j.host} {
		for _, c := range f.Features {
			for _, v := range c.Floats[:40] {
				patterns = append(patterns, binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)),
					binary.BigEndian.AppendUint64(nil, math.Float64bits(v)), []byte(strconv.FormatFloat(v, 'f', 6, 64)))
			}
		}
	}
	for _, id := range j.ids {
		patterns = append(patterns, []byte(id))
	}
	allowed := map[string]bool{}
	for _, route := range []string{
		"host-10000~guest-9999~rows", "guest-9999~host-10000~plan", "guest-9999~arbiter-10002~plan",
		"host-10000~arbiter-10002~agreed", "arbiter-10002~guest-9999~start", "arbiter-10002~host-10000~start",
		"arbiter-10002~guest-9999~public_key", "arbiter-10002~host-10000~public_key",
		"host-10000~guest-9999~xw_h", "guest-9999~host-10000~half_d",
		"guest-9999~arbiter-10002~g_enc", "host-10000~arbiter-10002~g_enc", "arbiter-10002~guest-9999~g", "arbiter-10002~host-10000~g",
		"arbiter-10002~guest-9999~converge_flag", "arbiter-10002~host-10000~converge_flag", "host-10000~guest-9999~h_pred",
	} {
		allowed[route] = true
	}
	for _, m := range r.Messages() {
		require.True(t, allowed[m.Topic], "unexpected message %s", m.Topic)
		for _, p := range patterns {
			require.False(t, bytes.Contains(m.Payload, p), "message %s holds %q in the clear", m.Topic, p)
		}
	}
}

// With the same data and the same start, what the arbiter decrypts in the first batch is unrelated between two runs,
// although the gradients are equal: they are masked. And no ciphertext repeats.
func TestArbiterSeesMaskedGradients(t *testing.T) {
	j := creditSet(t, 200, 150)
	run := func() map[string][]byte {
		first := map[string][]byte{}
		for _, m := range componenttest.RunOK(t, trainCase(j, quick(object{"epochs": 1}))).Messages() {
			first[m.Topic] = m.Payload[1:]
		}
		return first
	}
	one, two := run(), run()
	for route, columns := range map[string]int{"arbiter-10002~guest-9999~g": 11, "arbiter-10002~host-10000~g": 10} {
		a, err := he.ParseAnswer(one[route], columns)
		require.NoError(t, err)
		b, err := he.ParseAnswer(two[route], columns)
		require.NoError(t, err)
		far := 0
		for i := range a {
			// A gradient sum over 150 rows is below 2^10; with its scale of 2^153 that is 2^163. Uniform numbers modulo 2^180
			// lie farther apart than 2^170 in 999 of 1000 cases.
			if new(big.Int).Sub(a[i], b[i]).BitLen() > 170 {
				far++
			}
		}
		require.GreaterOrEqual(t, far, columns-2, route)
	}
	for _, route := range []string{"host-10000~guest-9999~xw_h", "guest-9999~host-10000~half_d", "guest-9999~arbiter-10002~g_enc", "host-10000~arbiter-10002~g_enc"} {
		require.NotEqual(t, one[route], two[route])
	}
}

// A host knows the ciphertext that it sent. If the guest only added its plaintext residual, the host could subtract and
// read the labels; so what comes back must have a second element that is not the one the hosts sent.
func TestResidualIsEncryptedAfresh(t *testing.T) {
	j := creditSet(t, 200, 150)
	second2 := func(r *componenttest.Result, route string) []byte {
		for _, m := range r.Messages() {
			if m.Topic == route {
				return m.Payload[1+he.VectorSize(1)/2 : 1+he.VectorSize(1)] // the second element of the first block
			}
		}
		return nil
	}
	r := componenttest.RunOK(t, twoHosts(j, quick(object{"epochs": 1, "early_stop": "weight_diff"})))
	toFirst := second2(r, "guest-9999~host-10000~half_d")
	require.NotEmpty(t, toFirst)
	require.NotEqual(t, second2(r, "host-10001~guest-9999~xw_h"), toFirst)
	lone := componenttest.RunOK(t, trainCase(j, quick(object{"epochs": 1})))
	require.NotEqual(t, second2(lone, "host-10000~guest-9999~xw_h"), second2(lone, "guest-9999~host-10000~half_d"))
}
