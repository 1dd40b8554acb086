package document_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/document"
	"openflow/store/document/documenttest"
	"openflow/tests/fuzzing"
)

var forms = []reflect.Type{
	reflect.TypeFor[document.DAG](), reflect.TypeFor[document.TaskSpec](), reflect.TypeFor[document.Run](),
	reflect.TypeFor[document.Cause](), reflect.TypeFor[document.TaskRun](), reflect.TypeFor[document.Party](),
	reflect.TypeFor[document.Mandate](), reflect.TypeFor[document.Component](),
}

func TestForms(t *testing.T) {
	documenttest.Tagged(t, forms...)
	documenttest.RoundTrip(t, document.EncodeDAG, document.DAG.Decode)
	documenttest.RoundTrip(t, document.EncodeSpec, document.TaskSpec.Decode)
	documenttest.RoundTrip(t, document.EncodeRun, document.Run.Decode)
	documenttest.RoundTrip(t, document.EncodeTaskRuns, document.DecodeTaskRuns)
	documenttest.RoundTrip(t, document.EncodeParties, document.DecodeParties)
	documenttest.RoundTrip(t, document.EncodeProtocols, document.DecodeProtocols)
	type row struct { // the key of a component is in columns of its own
		Name, Provider, Version, Device string
		Standing                        openflow.ComponentStanding
		Component                       document.Component
	}
	documenttest.RoundTrip(t, func(c openflow.ComponentRecord) row {
		return row{c.Name, c.Provider.Name, c.Provider.Version, c.Provider.Device, c.Standing, document.EncodeComponent(c)}
	}, func(r row) openflow.ComponentRecord {
		c := r.Component.Decode()
		c.Standing, c.Name, c.Provider = r.Standing, r.Name, openflow.ProviderRef{Name: r.Provider, Version: r.Version, Device: r.Device}
		return c
	})
	documenttest.RoundTrip(t, func(c openflow.Cause) document.Cause { return document.Cause(c) },
		func(c document.Cause) openflow.Cause { return openflow.Cause(c) })
	documenttest.RoundTrip(t, func(m openflow.Mandate) document.Mandate { return document.Mandate(m) },
		func(m document.Mandate) openflow.Mandate { return openflow.Mandate(m) })
}

// What the walk is for.
func TestUntaggedTypesAreFound(t *testing.T) {
	type inner struct{ Lost int }
	type outer struct {
		Job    openflow.JobID  `json:"job"`
		Domain openflow.Party  `json:"domain"`
		Policy openflow.Policy `json:"policy"`
		Inner  []*inner        `json:"inner"`
		Hidden int             `json:"-"`
		inner  int
	}
	require.Zero(t, outer{}.inner)
	require.Equal(t, []string{
		"document_test.outer.Domain is openflow.Party, which is the domain's: give it a form of its own",
		"document_test.outer.Inner.Lost of document_test.inner has no name in JSON",
		"document_test.outer.Hidden of document_test.outer has no name in JSON",
	}, documenttest.Faults(reflect.TypeFor[outer]()))
}

// Every field of a document is left out where it holds its zero value: then one that is added later changes no document, and
// no hash, that was made before.
func TestZeroValuesAreLeftOut(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(typ.Elem())
		case reflect.Struct:
			if seen[typ] {
				return
			}
			seen[typ] = true
			for f := range typ.Fields() {
				_, option, _ := strings.Cut(f.Tag.Get("json"), ",")
				require.Contains(t, []string{"omitzero", "omitempty"}, option, "%s.%s", typ, f.Name)
				if f.Type.Kind() == reflect.Slice || f.Type.Kind() == reflect.Map {
					require.Equal(t, "omitempty", option, "%s.%s: empty is nothing", typ, f.Name)
				}
				walk(f.Type)
			}
		default:
		}
	}
	for _, typ := range forms {
		walk(typ)
	}
	require.True(t, seen[reflect.TypeFor[document.Channel]()])
}

func TestCanonical(t *testing.T) {
	for name, tc := range map[string]struct{ a, b string }{
		"order of keys":     {`{"a":1,"b":{"d":1,"c":2}}`, `{"b":{"c":2,"d":1},"a":1}`},
		"blanks":            {`{ "a" : [1, 2] }`, `{"a":[1,2]}`},
		"a point":           {`[1.0, -0.0, 1.50]`, `[1, 0, 1.5]`},
		"an exponent":       {`[1e3, 1E-2]`, `[1000, 0.01]`},
		"a minus":           {`[-0]`, `[0]`},
		"escaped":           {`["\u00e4\u003c"]`, `["ä<"]`},
		"with no exact end": {`[0.1]`, `[0.10]`},
	} {
		t.Run(name, func(t *testing.T) {
			same, err := document.Equal(json.RawMessage(tc.a), json.RawMessage(tc.b))
			require.NoError(t, err)
			require.True(t, same)
		})
	}
	for name, tc := range map[string]struct{ a, b string }{
		"order of a list":       {`[1,2]`, `[2,1]`},
		"a digit of many":       {`[9007199254740993]`, `[9007199254740992]`},
		"beyond all floats":     {`[1e999]`, `[1e998]`},
		"text and number":       {`["1"]`, `[1]`},
		"a parameter of zero":   {`{"parameters":{"a":0}}`, `{"parameters":{}}`},
		"a parameter of null":   {`{"parameters":{"a":null}}`, `{"parameters":{}}`},
		"a parameter of nobody": {`{"parameters":{"a":[]}}`, `{"parameters":{"a":{}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			same, err := document.Equal(json.RawMessage(tc.a), json.RawMessage(tc.b))
			require.NoError(t, err)
			require.False(t, same)
		})
	}
	for name, v := range map[string]any{"a function": func() {}, "no JSON": json.RawMessage(`{`), "two values": json.RawMessage(`1 2`)} {
		_, err := document.Hash(v)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
		_, err = document.Equal(v, 1)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
	}
}

// before is a document as the first release writes it, and its hash.
const (
	before = `{"schema_version":"2.2.0","parties":[{"role":"guest","party_id":"9999"},{"role":"host","party_id":"10000"}],` +
		`"conf":{"cores":0,"task":{"label":"gpu"}},"tasks":[{"name":"reader_0","component":"reader",` +
		`"parameters":{"name":"t","seed":0}}],"party_tasks":[{"site":"guest","parties":[{"role":"guest","party_id":"9999"}],` +
		`"tasks":{"reader_0":{"parameters":{"name":"u"}}}}]}`
	hashBefore = "918a92fd7d03853fa9237a35b871f5dd23829b877e1bd18b230434d7a983df6d"
)

// A release that adds a field to the DAG, at any place in it, knows again what was hashed and stored before.
func TestAddedFieldChangesNoHash(t *testing.T) {
	var d document.DAG
	require.NoError(t, document.Unmarshal([]byte(before), &d))
	hash, err := document.Hash(d)
	require.NoError(t, err)
	require.Equal(t, hashBefore, hash)
	text, err := document.Marshal(document.EncodeDAG(d.Decode()))
	require.NoError(t, err)
	require.JSONEq(t, before, string(text))

	next := reflect.New(widened(reflect.TypeFor[document.DAG]())).Interface() // the same document in a release that knows more
	require.NoError(t, document.Unmarshal([]byte(before), next))
	hash, err = document.Hash(next)
	require.NoError(t, err)
	require.Equal(t, hashBefore, hash)

	field := reflect.ValueOf(next).Elem().FieldByName("Added")
	field.SetString("said")
	hash, err = document.Hash(next)
	require.NoError(t, err)
	require.NotEqual(t, hashBefore, hash, "what uses the field is another document")
}

// widened is a type with a field more, first of all, in every struct.
func widened(typ reflect.Type) reflect.Type {
	switch typ.Kind() {
	case reflect.Pointer:
		return reflect.PointerTo(widened(typ.Elem()))
	case reflect.Slice:
		return reflect.SliceOf(widened(typ.Elem()))
	case reflect.Map:
		return reflect.MapOf(typ.Key(), widened(typ.Elem()))
	case reflect.Struct:
		fields := []reflect.StructField{{Name: "Added", Type: reflect.TypeFor[string](), Tag: `json:"added,omitzero"`}}
		for f := range typ.Fields() {
			fields = append(fields, reflect.StructField{Name: f.Name, Type: widened(f.Type), Tag: f.Tag})
		}
		return reflect.StructOf(fields)
	default:
		return typ
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add(before)
	f.Add(`[1.0, -0, 1e400, "\ud800", {"a":{"b":null}}]`)
	fuzzing.Within(f, func(t *testing.T, text string) {
		once, err := document.Canonical(json.RawMessage(text))
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		twice, err := document.Canonical(json.RawMessage(once))
		require.NoError(t, err)
		require.Equal(t, string(once), string(twice))
	})
}
