package component

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"openflow"
)

// Parameters reads the task's parameters into into, a pointer to a struct that holds the defaults. A parameter that is
// missing or null leaves its field alone; names without a field are ignored.
//
// Fields are found by their json name. More tags are required:"true", doc for the description, and min, max, gt (above)
// for numbers. choices:"l1,l2" is for strings, compared and stored in lower case; enum is for those of them that are
// offered, which the description lists. default:"JSON" is for the members of an object parameter, which take it when
// the object is given without them. null:"JSON" is what null means where that is not the default. alike:"true" is for a
// parameter that all parties of a task must have in common, which nodes check. Values are coerced as FATE does: "20" and
// 20.7 are both 20 for a whole number, 1 is "1" for text.
//
// Errors: CodeInvalid, naming the parameter.
//
// Spec: fate-components §1.3.
func (t *Task) Parameters(into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.Elem().Kind() != reflect.Struct {
		return openflow.Errorf(openflow.CodeInternal, "parameters are read into a %T, want a pointer to a struct", into)
	}
	return decodeFields("", t.config.Parameters, target.Elem())
}

func decodeFields(prefix string, values map[string]json.RawMessage, target reflect.Value) error {
	for i := range target.NumField() {
		field := target.Type().Field(i)
		name := fieldName(field)
		if name == "" {
			continue
		}
		path := prefix + name
		raw, given := values[name]
		if given && string(raw) == "null" {
			word, means := field.Tag.Lookup("null")
			raw, given = json.RawMessage(word), means
		}
		if !given && field.Tag.Get("required") == "true" {
			return public(openflow.CodeInvalid, "parameter %q required", path)
		}
		if fallback, ok := field.Tag.Lookup("default"); ok && !given && prefix != "" {
			raw, given = json.RawMessage(fallback), true
		}
		if !given {
			continue
		}
		if err := decodeValue(path, raw, target.Field(i), field.Tag); err != nil {
			return err
		}
	}
	return nil
}

// fieldName is the parameter's name, empty for a field that is none.
func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "-" || !f.IsExported() {
		return ""
	}
	if name == "" {
		return f.Name
	}
	return name
}

func decodeValue(path string, raw json.RawMessage, target reflect.Value, tag reflect.StructTag) error {
	if u, ok := target.Addr().Interface().(json.Unmarshaler); ok {
		if err := u.UnmarshalJSON(raw); err != nil {
			return valueError(path, raw, err.Error())
		}
		return nil
	}
	switch target.Kind() {
	case reflect.Pointer:
		inner := reflect.New(target.Type().Elem())
		if err := decodeValue(path, raw, inner.Elem(), tag); err != nil {
			return err
		}
		target.Set(inner)
		return nil
	case reflect.Struct:
		var members map[string]json.RawMessage
		if err := json.Unmarshal(raw, &members); err != nil {
			return valueError(path, raw, "want an object")
		}
		return decodeFields(path+".", members, target)
	case reflect.Slice:
		return decodeList(path, raw, target, tag)
	case reflect.String:
		return decodeString(path, raw, target, tag)
	case reflect.Bool:
		return decodeBool(path, raw, target)
	case reflect.Int, reflect.Int64, reflect.Float64:
		return decodeNumber(path, raw, target, tag)
	default:
		if err := json.Unmarshal(raw, target.Addr().Interface()); err != nil {
			return valueError(path, raw, "want "+target.Type().String())
		}
		return nil
	}
}

func decodeList(path string, raw json.RawMessage, target reflect.Value, tag reflect.StructTag) error {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return valueError(path, raw, "want a list")
	}
	list := reflect.MakeSlice(target.Type(), len(items), len(items))
	for i, item := range items {
		if err := decodeValue(path+"["+strconv.Itoa(i)+"]", item, list.Index(i), tag); err != nil {
			return err
		}
	}
	target.Set(list)
	return nil
}

func decodeString(path string, raw json.RawMessage, target reflect.Value, tag reflect.StructTag) error {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		var n json.Number
		if err := json.Unmarshal(raw, &n); err != nil {
			return valueError(path, raw, "want text")
		}
		s = n.String()
	}
	if list := tag.Get("choices"); list != "" {
		s = strings.ToLower(s)
		if !slices.Contains(strings.Split(list, ","), s) {
			return valueError(path, raw, "want one of "+strings.ReplaceAll(list, ",", ", "))
		}
	}
	target.SetString(s)
	return nil
}

func decodeBool(path string, raw json.RawMessage, target reflect.Value) error {
	switch strings.ToLower(strings.Trim(string(raw), `"`)) {
	case "true", "1", "yes", "on":
		target.SetBool(true)
	case "false", "0", "no", "off":
		target.SetBool(false)
	default:
		return valueError(path, raw, "want true or false")
	}
	return nil
}

func decodeNumber(path string, raw json.RawMessage, target reflect.Value, tag reflect.StructTag) error {
	text := strings.Trim(strings.TrimSpace(string(raw)), `"`)
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return valueError(path, raw, "want a number")
	}
	if target.Kind() == reflect.Float64 {
		target.SetFloat(number)
	} else {
		whole, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			if !(number > -1<<63 && number < 1<<63) {
				return valueError(path, raw, "want a whole number")
			}
			whole = int64(number) // as upstream: 20.7 is 20
		}
		target.SetInt(whole)
		number = float64(whole)
	}
	for _, bound := range []struct {
		tag, text string
		within    func(n, b float64) bool
	}{
		{"min", "at least ", func(n, b float64) bool { return n >= b }},
		{"max", "at most ", func(n, b float64) bool { return n <= b }},
		{"gt", "more than ", func(n, b float64) bool { return n > b }},
	} {
		limit := tag.Get(bound.tag)
		if limit == "" {
			continue
		}
		b, err := strconv.ParseFloat(limit, 64)
		if err != nil {
			return openflow.Errorf(openflow.CodeInternal, "parameter %q has the bound %q, which is not a number", path, limit)
		}
		if !bound.within(number, b) {
			return valueError(path, raw, "want "+bound.text+limit)
		}
	}
	return nil
}

func valueError(path string, raw json.RawMessage, want string) error {
	const show = 100
	text := string(raw)
	if len(text) > show {
		text = strings.ToValidUTF8(text[:show], "") + "…"
	}
	return openflow.Errorf(openflow.CodeInvalid, "apply value `%s` to parameter `%s` failed: %s", text, path, want).
		WithPublic("parameter %q has a value that is not accepted", path)
}
