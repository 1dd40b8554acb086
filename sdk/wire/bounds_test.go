package wire_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/fuzzing"
	"openflow/tests/worst"
)

// many repeats a part with commas between.
func many(part string, n int) string { return strings.TrimSuffix(strings.Repeat(part+",", n), ",") }

// What is too much is refused before it is read: the refusal costs next to nothing.
func TestBounded(t *testing.T) {
	for name, tc := range map[string]struct{ text, says string }{
		"small values":           {`{"dag":[` + many("1", 4_000_000) + `]}`, "more than"},
		"empty objects":          {"[" + many("{}", 1_000_000) + "]", "values"},
		"members":                {`{"a":{` + many(`"":0`, 1_000_000) + `}}`, "values"},
		"lists of lists":         {strings.Repeat("[", 8<<20), "nested deeper than 64 levels"},
		"objects of objects":     {strings.Repeat(`{"a":`, 1<<20), "nested deeper than 64 levels"},
		"a name without end":     {`{"` + strings.Repeat("n", 1<<20) + `":1}`, "a member's name has 1048576 bytes"},
		"a name with a quote":    {`{"\"` + strings.Repeat("n", 1<<20) + `":1}`, "a member's name"},
		"a bracket in no text":   {`{"a":"[[[","b":` + strings.Repeat("[", 65), "nested deeper"},
		"a text that never ends": {`{"` + strings.Repeat("n", 1<<20), ""},
		"brackets in a text":     {`{"a":"` + strings.Repeat("[{,", 1<<20) + `"}`, ""},
		"a long text":            {`{"a":"` + strings.Repeat("x", 8<<20) + `"}`, ""},
		"nothing":                {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			bytes, _ := fuzzing.Cost(func() { err = wire.Bounded([]byte(tc.text), wire.MaxValues) })
			require.Less(t, bytes, uint64(len(tc.text)+1<<20))
			if tc.says == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			require.ErrorContains(t, err, tc.says)
			var into struct{ DAG any }
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(wire.Unmarshal([]byte(tc.text), &into)))
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(wire.Decode([]byte(tc.text), &into)))
		})
	}
}

// A few hundred bytes of YAML stand for no more than they may.
func TestBoundedYAML(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 9; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, many(fmt.Sprintf("*a%d", i-1), 10))
	}
	long := "a: &a " + strings.Repeat("x", 30_000) + "\nb: [" + many("*a", 8_000) + "]\n"
	for name, tc := range map[string]struct{ text, says string }{
		"aliases of aliases":     {bomb, "aliases written out"},
		"a long text many times": {long, "aliases written out"},
		"lists in a line":        {strings.Repeat("- ", 30_000) + "x", "nested deeper"},
		"brackets":               {strings.Repeat("[", 60_000), "nested deeper"},
		"objects":                {strings.Repeat("{a: ", 15_000), "nested deeper"},
		"tags of tags":           {strings.Repeat("!a ", 20_000) + "x", "nested deeper"},
		"keys of keys":           {strings.Repeat("? ", 30_000) + "x", "nested deeper"},
		"steps":                  {steps(100), "nested deeper than 64 levels"},
		"two aliases":            {"a: &a [1, 2]\nb: *a\nc: *a\n", ""},
		"a model's meta":         {"party: {role: guest, party_id: '9999'}\nmodel: &m {name: lr}\nother: *m\ntext: |\n  - a\n  - b\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			bytes, took := fuzzing.Cost(func() { err = wire.BoundedYAML([]byte(tc.text)) })
			fuzzing.Check(t, len(tc.text), bytes, took)
			if tc.says == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			require.ErrorContains(t, err, tc.says)
			_, err = wire.ParseDAG([]byte(tc.text))
			require.Error(t, err)
		})
	}
}

// steps is YAML of that depth, each level on a line of its own.
func steps(depth int) string {
	var text strings.Builder
	for i := range depth {
		text.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return text.String() + strings.Repeat(" ", depth) + "x"
}

func FuzzBoundedYAML(f *testing.F) {
	f.Add([]byte("a: &a [1, 2]\nb: [*a, *a]\n"))
	f.Add([]byte("- - - - ? ! & x"))
	f.Add([]byte("a: |\n  text\nb: {c: [d, 'e', \"f\"]}\n# comment\n--- \nx: !!str 1"))
	fuzzing.Within(f, func(t *testing.T, text []byte) {
		if err := wire.BoundedYAML(text); err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		}
	})
}

// A document is read in proportion to its length, also one of another node.
func TestDocumentsAreReadInProportion(t *testing.T) {
	worst.Linear(t, func(d *openflow.DAG) {
		text, err := wire.EncodeDocument(d)
		require.NoError(t, err)
		if _, err := wire.ReceiveDAG(text); err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		}
	})
}

// BenchmarkReceive tells how long a byte of each shape takes to be read and checked.
func BenchmarkReceive(b *testing.B) {
	for shape, of := range worst.Shapes {
		b.Run(shape, func(b *testing.B) {
			text, err := wire.EncodeDocument(of(worst.Large))
			require.NoError(b, err)
			for b.Loop() {
				_, _ = wire.ReceiveDAG(text) // what is wrong is refused, which takes its time too
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(text)), "ns/byte")
		})
	}
}
