package dialecttest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
)

// wholeDAG has something of everything that a user can say.
func wholeDAG() *openflow.DAG {
	d := usual.dag()
	d.Conf.Purpose = "scores of <customers>"
	d.Conf.Priority, d.Conf.Timeout, d.Conf.ModelWarehouse = 3, time.Hour, &openflow.ModelRef{ID: "earlier", Version: "0"}
	d.Conf.Task = openflow.TaskConf{Cores: new(2), Memory: new(int64(1 << 30))}
	d.Tasks[0].Parties, d.Tasks[0].Parameters = []openflow.Party{host}, openflow.Parameters{
		"large": json.Number("9007199254740993"), "small": json.Number("0.1"), "text": "ä <b> \u2028", "none": nil, "list": []any{true, map[string]any{"k": "v"}},
	}
	d.Tasks[1].DependsOn, d.Tasks[1].Inputs = nil, []openflow.Input{
		{Kind: openflow.InputData, Key: "rows", Channels: []openflow.Channel{{Source: openflow.FromTask, ProducerTask: "a", OutputKey: "out"}}},
		{Kind: openflow.InputModel, Key: "model", Channels: []openflow.Channel{{
			Source: openflow.FromModelWarehouse, ProducerTask: "train", OutputKey: "model", Model: &openflow.ModelRef{ID: "earlier", Version: "0"},
		}}},
	}
	d.PartyTasks = []openflow.PartyTasks{{Site: "host_10000", Parties: []openflow.Party{host}, Tasks: map[openflow.TaskName]openflow.TaskOverride{
		"b": {Parameters: openflow.Parameters{"own": "x"}},
	}}}
	return d
}

// documents: a job is read as it was written, a key without effect is told or refused, and what is none, or has no end, is
// refused before it costs much.
func documents(t *testing.T, docs dialect.Documents) {
	written, err := docs.Write(wholeDAG())
	require.NoError(t, err)
	read := func(t *testing.T, document []byte) (openflow.Submission, error) {
		t.Helper()
		got, err := docs.Read(document)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
		}
		return got, err
	}
	t.Run("there and back", func(t *testing.T) {
		got, err := read(t, written)
		require.NoError(t, err)
		require.Equal(t, openflow.Submission{DAG: wholeDAG()}, got)
		again, err := docs.Write(got.DAG)
		require.NoError(t, err)
		require.Equal(t, string(written), string(again), "one job has one text")
	})
	t.Run("values without a form", func(t *testing.T) {
		d := wholeDAG()
		d.Tasks[0].Parameters = openflow.Parameters{"x": func() {}}
		_, err := docs.Write(d)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	})
	t.Run("unknown keys", func(t *testing.T) {
		const key = "no_such_key"
		places := 0
		for place := range withKey(t, written, key) {
			places++
			got, err := read(t, place)
			passedOver := err == nil && len(got.Mistakes) == 0 && len(got.Warnings) == 0
			if !passedOver {
				continue
			}
			kept, err := docs.Write(got.DAG) // parameters may be called anything
			require.NoError(t, err)
			require.Contains(t, string(kept), key, "a key is passed over in silence: %s", place)
		}
		require.Greater(t, places, 1)
	})
	t.Run("what is none", func(t *testing.T) {
		for cut := range written {
			_, err := read(t, written[:cut])
			require.Error(t, err, "%s", written[:cut])
		}
		for _, text := range []string{"null", "[]", `"x"`, "1", "{}{}", string(written) + "}", "\xff"} {
			got, err := read(t, []byte(text))
			require.True(t, err != nil || len(got.Mistakes) > 0, text)
		}
	})
	t.Run("without an end", func(t *testing.T) {
		const many = 32 << 20
		for name, text := range map[string]string{
			"length": strings.Repeat(" ", many) + string(written),
			"lists":  strings.Repeat("[", 1<<20),
			"depth":  strings.Repeat(`{"dag":`, 1<<18) + strings.Repeat("}", 1<<18),
		} {
			_, err := read(t, []byte(text))
			require.Error(t, err, name)
		}
	})
}

// withKey yields the document once for each object in it, which has one more key.
func withKey(t *testing.T, document []byte, key string) func(yield func([]byte) bool) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber()
	var whole any
	require.NoError(t, dec.Decode(&whole), "a document is JSON")
	var objects []map[string]any
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			objects = append(objects, v)
			for _, of := range v {
				walk(of)
			}
		case []any:
			for _, of := range v {
				walk(of)
			}
		}
	}
	walk(whole)
	return func(yield func([]byte) bool) {
		for _, o := range objects {
			o[key] = "x"
			text, err := json.Marshal(whole)
			delete(o, key)
			require.NoError(t, err)
			if !yield(text) {
				return
			}
		}
	}
}
