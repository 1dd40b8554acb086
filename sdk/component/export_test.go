package component

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// What the fuzz tests reach inside for.
var (
	UnpackModel    = unpackModel
	ParseOutbound  = parseOutbound
	DecodeOutbound = func(r *http.Response) ([]byte, int64, error) {
		reply, err := decodeTransport(r)
		return reply.content, reply.sequence, err
	}
	Finite = finite
)

// CheckConfig tells whether text is a CONFIG.
func CheckConfig(text string) error {
	_, err := parseConfig(text)
	return err
}

// DecodeParameters reads parameters as Task.Parameters does.
func DecodeParameters(raw map[string]json.RawMessage, into any) error {
	t := &Task{config: &config{Parameters: raw}}
	return t.Parameters(into)
}

// Command is Main without the end of the process.
func Command(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer, components ...Component) int {
	return Program{Provider: "acme", Version: "1.2.0", Components: components}.command(ctx, args, env, stdout, stderr)
}

// Refused reads the answer of a node, and tells whether the client would ask again.
func Refused(answer string) (err error, again bool) {
	err = decodeEnvelope(strings.NewReader(answer), request{path: "/p"}, nil)
	return err, passing(err)
}
