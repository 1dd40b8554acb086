// Package documenttest checks types that are written as JSON. Every field must have a name of its own there, none of them
// may be the domain's, and nothing may be lost on the way there and back.
package documenttest

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/document"
)

// documents are the domain's types that are documents themselves: the policy file, and what it comes to for a container.
var documents = []reflect.Type{
	reflect.TypeFor[openflow.SitePolicy](), reflect.TypeFor[openflow.ImagesPolicy](), reflect.TypeFor[openflow.ContainersPolicy](), reflect.TypeFor[openflow.Policy](), reflect.TypeFor[openflow.PSIPolicy](), reflect.TypeFor[openflow.CoordinatedLRPolicy](),
	reflect.TypeFor[openflow.Confinement](), reflect.TypeFor[openflow.BrokerUse](), reflect.TypeFor[openflow.Mount](), reflect.TypeFor[openflow.Wishes](),
}

// Tagged walks the types, and fails on an exported field without a name in JSON and on a struct of the domain.
func Tagged(t *testing.T, types ...reflect.Type) {
	t.Helper()
	require.NotEmpty(t, types)
	for _, fault := range Faults(types...) {
		t.Error(fault)
	}
}

// Faults is what Tagged finds.
func Faults(types ...reflect.Type) []string {
	w := walk{seen: map[reflect.Type]bool{}}
	for _, typ := range types {
		w.visit(typ, typ.String())
	}
	return w.faults
}

type walk struct {
	seen   map[reflect.Type]bool
	faults []string
}

func (w *walk) visit(typ reflect.Type, path string) {
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		w.visit(typ.Elem(), path)
	case reflect.Map:
		w.visit(typ.Key(), path)
		w.visit(typ.Elem(), path)
	case reflect.Struct:
		w.fields(typ, path)
	default: // it is written as what it is
	}
}

func (w *walk) fields(typ reflect.Type, path string) {
	if w.seen[typ] || typ == reflect.TypeFor[time.Time]() {
		return
	}
	w.seen[typ] = true
	own := false
	for _, d := range documents {
		own = own || d == typ
	}
	if typ.PkgPath() == reflect.TypeFor[openflow.DAG]().PkgPath() && !own {
		w.faults = append(w.faults, path+" is "+typ.String()+", which is the domain's: give it a form of its own")
		return
	}
	for field := range typ.Fields() {
		if !field.IsExported() {
			continue
		}
		at := path + "." + field.Name
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name == "" || name == "-" {
			w.faults = append(w.faults, at+" of "+typ.String()+" has no name in JSON")
		}
		w.visit(field.Type, at)
	}
}

// RoundTrip fills a D with values that are all different and not zero, and requires that it comes back from JSON as it was.
// A field that a conversion forgets is found so; of D, the named ones are not kept.
func RoundTrip[D, F any](t *testing.T, encode func(D) F, decode func(F) D, dropped ...string) {
	t.Helper()
	var d D
	all := reflect.ValueOf(&d).Elem()
	fill(t, all, new(int))
	for _, name := range dropped {
		all.FieldByName(name).SetZero()
	}
	text, err := document.Marshal(encode(d))
	require.NoError(t, err)
	var f F
	require.NoError(t, document.Unmarshal(text, &f))
	require.Equal(t, d, decode(f), "%s", text)
}

func fill(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString("s" + strconv.Itoa(*n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(float64(*n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint8:
		v.SetUint(uint64(*n % 256)) //nolint:gosec // a positive count
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			v.Set(reflect.ValueOf(json.RawMessage(`{"s":` + strconv.Itoa(*n) + `}`)))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), n)
		fill(t, v.Index(1), n)
	case reflect.Map:
		key, member := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key, n)
		fill(t, member, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, member)
	case reflect.Interface: // a value that users write freely
		v.Set(reflect.ValueOf(json.Number("9007199254740993")))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.UnixMilli(int64(*n)).UTC()))
			return
		}
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	default:
		require.FailNow(t, "documenttest has no value for "+v.Type().String())
	}
}
