package driver_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
)

func TestSpecValidate(t *testing.T) {
	good := driver.Spec{Name: "j1-psi-0-guest-9999", Image: "sha256:00", Command: []string{"run"}, Env: []string{"A=", "B=x=y"}}
	for name, tc := range map[string]struct {
		change func(*driver.Spec)
		want   string // part of the message; empty means valid
	}{
		"good":             {func(*driver.Spec) {}, ""},
		"longest name":     {func(s *driver.Spec) { s.Name = strings.Repeat("n", 128) }, ""},
		"longest env":      {func(s *driver.Spec) { s.Env = []string{"A=" + strings.Repeat("x", 128<<10-3)} }, ""},
		"no name":          {func(s *driver.Spec) { s.Name = "" }, "not a container name"},
		"name is a path":   {func(s *driver.Spec) { s.Name = "../x" }, "not a container name"},
		"hidden name":      {func(s *driver.Spec) { s.Name = ".x" }, "not a container name"},
		"name with a line": {func(s *driver.Spec) { s.Name = "x\n" }, "not a container name"},
		"name too long":    {func(s *driver.Spec) { s.Name = strings.Repeat("n", 129) }, "not a container name"},
		"no image":         {func(s *driver.Spec) { s.Image = "" }, "names no image"},
		"NUL argument":     {func(s *driver.Spec) { s.Command = []string{"a\x00b"} }, "NUL byte"},
		"env without =":    {func(s *driver.Spec) { s.Env = []string{"SECRET"} }, "not KEY=value"},
		"env without key":  {func(s *driver.Spec) { s.Env = []string{"=SECRET"} }, "not KEY=value"},
		"env too long":     {func(s *driver.Spec) { s.Env = []string{"A=" + strings.Repeat("x", 128<<10-2)} }, "variable A has 131072 bytes"},
		"NUL env":          {func(s *driver.Spec) { s.Env = []string{"A=SECRET\x00"} }, "variable A holds a NUL"},
		"negative limit":   {func(s *driver.Spec) { s.Limits.PIDs = -1 }, "negative limit"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := good
			tc.change(&spec)
			err := spec.Validate()
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			require.NotContains(t, err.Error(), "SECRET", "an environment value must not reach a log")
		})
	}
}

func TestCarries(t *testing.T) {
	have := map[string]string{"job": "j1", "task": "psi", "empty": ""}
	for name, tc := range map[string]struct {
		want map[string]string
		ok   bool
	}{
		"nothing asked":        {nil, true},
		"subset":               {map[string]string{"job": "j1"}, true},
		"all":                  {have, true},
		"other value":          {map[string]string{"job": "j2"}, false},
		"missing":              {map[string]string{"party": "1"}, false},
		"missing, asked empty": {map[string]string{"party": ""}, false},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.ok, driver.Carries(have, tc.want)) })
	}
}

type named struct {
	driver.Opener
	kind string
}

func (n named) Kind() string { return n.kind }

func TestFindRuntime(t *testing.T) {
	all := driver.Openers{named{kind: "a"}, named{kind: "b"}}
	got, err := all.Find("b")
	require.NoError(t, err)
	require.Equal(t, "b", got.Kind())
	_, err = all.Find("c")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorContains(t, err, "use a or b")
}
