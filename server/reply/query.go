package reply

import (
	"net/http"
	"strings"

	"openflow"
	"openflow/sdk/wire"
)

// Identifiers checks query values that name things, so that nothing else reaches the catalogue or a file name. Errors:
// CodeInvalid.
func Identifiers(r *http.Request, keys ...string) error {
	for _, k := range keys {
		v := r.URL.Query().Get(k)
		if v == "" {
			continue
		}
		check := openflow.CheckIdentifier
		if k == "namespace" || k == "name" {
			check = openflow.CheckName
		}
		if err := check(k, v); err != nil {
			return err
		}
	}
	return nil
}

// Required reads query values that must be there, and checks them. Errors: CodeInvalid, with what is missing.
func Required(r *http.Request, keys ...string) ([]string, error) {
	values := make([]string, len(keys))
	var missing []string
	for i, k := range keys {
		values[i] = r.URL.Query().Get(k)
		if values[i] == "" {
			missing = append(missing, k)
		}
	}
	if len(missing) > 0 {
		return nil, &openflow.Error{
			Code: openflow.CodeInvalid, Message: "invalid request: missing " + strings.Join(missing, ", "),
			Err: wire.MissingFields(missing),
		}
	}
	return values, Identifiers(r, keys...)
}

// Named checks the name of the user, under which whatever is done is recorded.
func Named(h Handler) Handler {
	return func(r *http.Request) (any, error) {
		if err := wire.CheckName("user name", r.Header.Get(wire.UserHeader)); err != nil {
			return nil, err
		}
		return h(r)
	}
}
