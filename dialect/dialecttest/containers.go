package dialecttest

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
)

// containers: the environment tells a container who it is, where its node is and how it proves itself, the same at each
// attempt; and says nothing that could not be told.
func containers(t *testing.T, tell dialect.Container) {
	spec := wholeDAG().ForParty(host)[0]
	told := func(version int) []string {
		t.Helper()
		env, err := tell(openflow.TaskRecord{Key: run(spec.Name, version), Component: spec.Component, Spec: spec, Provider: "acme:1@local", Cores: 2},
			openflow.TaskSupply{Credential: "a secret of this run", ModelID: "m", ModelVersion: "0"},
			openflow.Place{Host: "10.1.2.3", Port: 9380, Cores: 2})
		require.NoError(t, err)
		return env
	}
	env := told(0)
	require.Equal(t, env, told(0), "a launch that is tried again makes the same container")
	require.NotEqual(t, env, told(1), "another version is another run")
	seen := map[string]bool{}
	for _, variable := range env {
		name, _, ok := strings.Cut(variable, "=")
		require.True(t, ok && name != "", "%q is not NAME=value", variable)
		require.NotContains(t, []string{"PATH", "HOME", "LD_PRELOAD"}, name, "the runtime's own")
		require.False(t, seen[name], "%s is told twice", name)
		seen[name] = true
		require.NotContains(t, variable, "\x00")
	}
	all := strings.Join(env, "\n")
	for _, what := range []string{string(jobK.Job), string(host.ID), "a secret of this run", "10.1.2.3", strconv.Itoa(9380), spec.Component} {
		require.Contains(t, all, what)
	}
	spec.Parameters = openflow.Parameters{"x": func() {}}
	_, err := tell(openflow.TaskRecord{Key: run(spec.Name, 0), Spec: spec}, openflow.TaskSupply{}, openflow.Place{})
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
}
