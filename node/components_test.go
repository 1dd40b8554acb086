package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// program is a components binary of a shell script.
func program(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "components")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700))
	return path
}

const twoComponents = `case "$1" in
list) echo '{"buildin":["psi","noop"],"thirdparty":[]}' ;;
desc) echo '{"component":{"roles":["guest","host"],"parameters":{"protocol":{}},"output_artifacts":{"metric":{"metric":{"stages":["default"]}}}}}' ;;
esac`

func TestComponentsAreWhatTheBinarySays(t *testing.T) {
	c, err := readComponents(t.Context(), program(t, twoComponents), "1", "docker")
	require.NoError(t, err)
	provider, err := c.Component(openflow.TaskSpec{Component: "psi", Stage: openflow.StageDefault}, openflow.RoleGuest)
	require.NoError(t, err)
	require.Equal(t, "openflow:1@docker", provider)
	require.Equal(t, []string{"protocl"}, c.Unknown("psi", openflow.Parameters{"protocl": 1, "protocol": 1}))
	require.Empty(t, c.Unknown("elsewhere", openflow.Parameters{"any": 1}))

	for name, tc := range map[string]struct {
		spec openflow.TaskSpec
		role openflow.Role
		says string
	}{
		"unknown":          {openflow.TaskSpec{Component: "x"}, openflow.RoleGuest, `no component "x" at this site (it has: noop, psi)`},
		"no such role":     {openflow.TaskSpec{Name: "a", Component: "psi"}, openflow.RoleArbiter, "has no part for a party in the role arbiter"},
		"no such stage":    {openflow.TaskSpec{Name: "a", Component: "psi", Stage: openflow.StageTrain}, openflow.RoleGuest, `does not run in stage "train"`},
		"another provider": {openflow.TaskSpec{Component: "psi", Stage: openflow.StageDefault, Conf: openflow.TaskConf{Provider: "acme:1@k8s"}}, openflow.RoleGuest, "no provider"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Component(tc.spec, tc.role)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			require.ErrorContains(t, err, tc.says)
		})
	}
}

func TestBinaryThatIsNoneIsRefused(t *testing.T) {
	for name, script := range map[string]string{
		"fails":        "exit 3",
		"says nothing": "true",
		"no documents": `case "$1" in list) echo '{"buildin":["a"]}' ;; desc) echo no ;; esac`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readComponents(t.Context(), program(t, script), "1", "local")
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			require.ErrorContains(t, err, "make build")
		})
	}
}
