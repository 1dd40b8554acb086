package component

import (
	"encoding/json"
	"math"
	"reflect"
)

// finite copies value with NaN and the infinities replaced by nil, because JSON has no such numbers and a record
// without them would be lost. A value that encodes itself is left alone.
//
// Spec: fate-components §1.4.
func finite(value any) any {
	if value == nil {
		return nil
	}
	return finiteValue(reflect.ValueOf(value))
}

func finiteValue(v reflect.Value) any {
	if !v.IsValid() {
		return nil
	}
	if _, ok := v.Interface().(json.Marshaler); ok {
		return v.Interface()
	}
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil
		}
		return v.Interface()
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return finiteValue(v.Elem())
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && (v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8) {
			return v.Interface()
		}
		out := make([]any, v.Len())
		for i := range out {
			out[i] = finiteValue(v.Index(i))
		}
		return out
	case reflect.Map:
		if v.IsNil() || v.Type().Key().Kind() != reflect.String {
			return v.Interface()
		}
		out := make(map[string]any, v.Len())
		for _, k := range v.MapKeys() {
			out[k.String()] = finiteValue(v.MapIndex(k))
		}
		return out
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			if name := fieldName(v.Type().Field(i)); name != "" {
				out[name] = finiteValue(v.Field(i))
			}
		}
		return out
	default:
		return v.Interface()
	}
}
